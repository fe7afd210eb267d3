declare module 'polaris2istio:conversion/conversion@0.2.0' {
  /**
   * Says what this module is.
   */
  export function describe(): ModuleInfo;
  /**
   * Converts one service for one entry. The same request gives the same answer, always.
   */
  export function convert(request: Request): Outcome;
  /**
   * A module's description of itself.
   */
  export interface ModuleInfo {
    /**
     * A short name, such as `default` or `acme-canary`.
     */
    name: string,
    /**
     * The module's own version, such as `0.1.0`.
     */
    version: string,
    /**
     * One line that says what it does.
     */
    summary: string,
  }
  /**
   * Where an instance runs, as the registry knows it. Unknown parts are empty.
   */
  export interface Location {
    region: string,
    zone: string,
    campus: string,
  }
  /**
   * One registered instance, as the registry lists it: nothing is filtered before the module sees it.
   */
  export interface Instance {
    /**
     * Unique in its service, and stable while the instance stays registered.
     */
    id: string,
    /**
     * An IP address or a host name; any text of up to 128 characters may come.
     */
    host: string,
    /**
     * 0 where none was registered; may be above 65535 in a bad answer.
     */
    port: number,
    /**
     * As registered, such as `http`, `gRPC` or `dubbo`; empty where none was.
     */
    protocol: string,
    /**
     * Empty where none was registered.
     */
    version: string,
    /**
     * Share of the traffic among the others; 0 asks for none.
     */
    weight: number,
    /**
     * Smaller is preferred; 0 by default.
     */
    priority: number,
    /**
     * The verdict of the registry's health check.
     */
    healthy: boolean,
    /**
     * Whether someone took it out of traffic on purpose.
     */
    isolated: boolean,
    /**
     * Where it runs.
     */
    location: Location,
    /**
     * Free text pairs, sorted by key; the registry adds some of its own (`internal-*`, `region` ...).
     */
    metadata: Array<[string, string]>,
  }
  /**
   * One service of the registry with all its instances.
   */
  export interface Service {
    /**
     * The registry's namespace.
     */
    namespace: string,
    name: string,
    /**
     * The registry's revision of this content: a hint, one content can come under several.
     */
    revision: string,
    /**
     * Free text pairs, sorted by key.
     */
    metadata: Array<[string, string]>,
    /**
     * In no particular order.
     */
    instances: Array<Instance>,
  }
  /**
   * `spec.resolution` of a ServiceEntry.
   * # Variants
   * 
   * ## `"none"`
   * 
   * ## `"static"`
   * 
   * ## `"dns"`
   * 
   * ## `"dns-round-robin"`
   * 
   * ## `"dynamic-dns"`
   */
  export type Resolution = 'none' | 'static' | 'dns' | 'dns-round-robin' | 'dynamic-dns';
  /**
   * `spec.location` of a ServiceEntry.
   * # Variants
   * 
   * ## `"mesh-external"`
   * 
   * ## `"mesh-internal"`
   */
  export type MeshLocation = 'mesh-external' | 'mesh-internal';
  /**
   * Whose a port of the entry is.
   * # Variants
   * 
   * ## `"controller"`
   * 
   * This controller derived it earlier, and may change it.
   * ## `"other"`
   * 
   * Someone else wrote it (the operator, another controller): it stays as it is.
   */
  export type Declarer = 'controller' | 'other';
  /**
   * A service port that the entry has now.
   */
  export interface EntryPort {
    name: string,
    /**
     * 1 to 65535.
     */
    number: number,
    /**
     * As written; empty where it was left out.
     */
    protocol: string,
    /**
     * `targetPort`, where it was given.
     */
    targetPort?: number,
    declaredBy: Declarer,
  }
  /**
   * The ServiceEntry as it is now, but for its endpoints.
   */
  export interface Entry {
    namespace: string,
    name: string,
    /**
     * Sorted by key.
     */
    labels: Array<[string, string]>,
    /**
     * Sorted by key.
     */
    annotations: Array<[string, string]>,
    hosts: Array<string>,
    /**
     * `spec.addresses`; an address that Istio allocated by itself is in the entry's status and is not here.
     */
    addresses: Array<string>,
    location?: MeshLocation,
    resolution?: Resolution,
    exportTo: Array<string>,
    /**
     * Whether the entry selects workloads by label, which excludes endpoints.
     */
    hasWorkloadSelector: boolean,
    /**
     * In the entry's own order.
     */
    ports: Array<EntryPort>,
  }
  /**
   * All that a conversion may depend on.
   */
  export interface Request {
    service: Service,
    entry: Entry,
    /**
     * Parameters that the operator sets for the module, sorted by key.
     */
    parameters: Array<[string, string]>,
    /**
     * The content revision that this module gave for what the entry still holds; absent where nothing was written
     * yet, something else changed the entry, or the host wants a full answer.
     */
    published?: string,
  }
  /**
   * A service port that the module derives.
   */
  export interface Port {
    /**
     * A DNS label, unique in the entry.
     */
    name: string,
    /**
     * 1 to 65535, unique in the entry.
     */
    number: number,
    /**
     * A protocol that Istio accepts, in upper case.
     */
    protocol: string,
    /**
     * The endpoints' port where they name none of their own.
     */
    targetPort?: number,
  }
  /**
   * One workload behind the entry.
   */
  export interface Endpoint {
    /**
     * An IP address, or a host name where the resolution is DNS.
     */
    address: string,
    /**
     * Service port name -> port of this endpoint, sorted by name. A service port that is not named here is reached
     * at its `target-port`, else at its own number.
     */
    ports: Array<[string, number]>,
    /**
     * Sorted by key.
     */
    labels: Array<[string, string]>,
    /**
     * At least 1.
     */
    weight: number,
    /**
     * `region/zone/subzone`, or empty.
     */
    locality: string,
    /**
     * The Kubernetes service account that the workload runs as, in the entry's own namespace. Proxies speak mutual
     * TLS to an endpoint that has one, and expect its identity; to one without, plain text.
     */
    serviceAccount?: string,
    /**
     * The network that the address is in, where the mesh spans several: proxies of others go by its gateway.
     */
    network?: string,
    /**
     * The instances that it stands for, as positions in the request's list.
     */
    instances: Uint32Array,
  }
  /**
   * The content that the entry should hold.
   */
  export interface Update {
    /**
     * Absent leaves what the entry has.
     */
    resolution?: Resolution,
    /**
     * Absent leaves what its operator wrote.
     */
    location?: MeshLocation,
    /**
     * The ports that the module derives, those that it derived earlier and keeps included. Ports that someone else
     * declared are not repeated.
     */
    ports: Array<Port>,
    /**
     * All endpoints, in an order that does not depend on that of the instances.
     */
    endpoints: Array<Endpoint>,
    /**
     * Annotations of the module's own; keys under `polaris2istio.aeraki.net/` alone are accepted.
     */
    annotations: Array<[string, string]>,
    /**
     * A text that is equal exactly where the content above is; it means something to the module alone. A module
     * that leaves it out is never asked with `published`, and every answer of its is compared with the entry.
     */
    contentRevision?: string,
  }
  /**
   * How much a diagnostic matters.
   * # Variants
   * 
   * ## `"info"`
   * 
   * Worth knowing; nothing to do.
   * ## `"warning"`
   * 
   * Something was left out or changed; someone may want to act.
   * ## `"error"`
   * 
   * The entry cannot be served as it stands.
   */
  export type Severity = 'info' | 'warning' | 'error';
  /**
   * The subject of a diagnostic.
   */
  export type Subject = SubjectEntry | SubjectService | SubjectInstance | SubjectPort | SubjectAnnotation | SubjectField;
  /**
   * The entry as a whole.
   */
  export interface SubjectEntry {
    tag: 'entry',
  }
  /**
   * The registry's service as a whole.
   */
  export interface SubjectService {
    tag: 'service',
  }
  /**
   * An instance, as a position in the request's list.
   */
  export interface SubjectInstance {
    tag: 'instance',
    val: number,
  }
  /**
   * A service port, by name.
   */
  export interface SubjectPort {
    tag: 'port',
    val: string,
  }
  /**
   * An annotation of the entry, by key.
   */
  export interface SubjectAnnotation {
    tag: 'annotation',
    val: string,
  }
  /**
   * A field of the entry, by path, such as `spec.resolution`.
   */
  export interface SubjectField {
    tag: 'field',
    val: string,
  }
  /**
   * Something that a person may want to know.
   */
  export interface Diagnostic {
    severity: Severity,
    /**
     * Stable, in kebab case, such as `instance-isolated`.
     */
    code: string,
    subject: Subject,
    /**
     * The fact, with the values concerned.
     */
    message: string,
    /**
     * The remedy; empty where there is nothing to do.
     */
    remedy: string,
  }
  /**
   * The verdict on the entry.
   */
  export type Verdict = VerdictUnchanged | VerdictUpdate | VerdictRejected;
  /**
   * The content revision would be the one in `published`.
   */
  export interface VerdictUnchanged {
    tag: 'unchanged',
  }
  /**
   * The entry should hold this.
   */
  export interface VerdictUpdate {
    tag: 'update',
    val: Update,
  }
  /**
   * The entry or the answer is unfit: nothing is written until one of them changes. The diagnostics say why.
   */
  export interface VerdictRejected {
    tag: 'rejected',
  }
  /**
   * The answer to a request.
   */
  export interface Outcome {
    verdict: Verdict,
    diagnostics: Array<Diagnostic>,
  }
  /**
   * The module's own trouble, such as a parameter that it cannot read. Handled like a trap: the last endpoints stay.
   */
  export interface Failure {
    message: string,
  }
}
