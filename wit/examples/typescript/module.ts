// The instances of the best priority alone: others stand by until none of it is left.
//
// Parameter: `spare` is how many priorities are served beside the best one (`--module-param spare=1`; 0 without it). Rules of its
// own, and simple ones: healthy instances with an IPv4 address; ports that someone declared stay as they are, and serve the
// instances of their protocol. The types are those of `wit/converter.wit`; types alone are imported, a module imports nothing.

import type {
    Diagnostic, Endpoint, Entry, EntryPort, Instance, ModuleInfo, Outcome, Port, Request, Update,
} from "polaris2istio:conversion/conversion@0.2.0";

/** An instance with its place in the answer. */
interface Placed {
    instance: Instance;
    position: number;
}

const PROTOCOLS = new Map([["http", "HTTP"], ["http2", "HTTP2"], ["https", "HTTPS"], ["grpc", "GRPC"]]);

/** A failure is the module's own trouble: what is thrown with `payload` becomes the WIT `failure`. */
class Failure extends Error {
    readonly payload: { message: string };

    constructor(message: string) {
        super(message);
        this.payload = { message };
    }
}

/** How many priorities are served beside the best one. */
function spare(parameters: Request["parameters"]): number {
    const text = parameters.find(([key]) => key === "spare")?.[1] ?? "0";
    if (!/^\d{1,4}$/.test(text)) throw new Failure(`the parameter \`spare\` is \`${text}\`; give a number, such as 1`);
    return Number(text);
}

/** Traffic to loopback or a cloud's metadata server is nothing that the host accepts, for the whole update. */
function isFitAddress(host: string): boolean {
    if (!/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(host)) return false;
    const [a = 0, b = 0, ...rest] = host.split(".").map(Number);
    return [a, b, ...rest].every((part) => part < 256) && a > 0 && a < 224 && a !== 127 && !(a === 169 && b === 254);
}

function isFit({ healthy, isolated, weight, port, host }: Instance): boolean {
    return healthy && !isolated && weight > 0 && port >= 1 && port <= 65535 && isFitAddress(host);
}

/** By UTF-16 code units, never by locale. */
function compare(a: string, b: string): number {
    return a < b ? -1 : a > b ? 1 : 0;
}

function protocolOf(text: string): string {
    return PROTOCOLS.get(text.toLowerCase()) ?? "TCP";
}

function portOf({ name, number, protocol, targetPort }: EntryPort): Port {
    return targetPort === undefined ? { name, number, protocol } : { name, number, protocol, targetPort };
}

/** Protocol -> the port that serves it: declared, or derived, and then kept as it was derived first. */
function servicePorts(entry: Entry, instances: Instance[]): { ports: Map<string, Port>; derived: Port[] } {
    const declared = entry.ports.filter((port) => port.declaredBy === "other");
    if (declared.length > 0) {
        return { ports: new Map(declared.map((port) => [protocolOf(port.protocol), portOf(port)])), derived: [] };
    }
    const ports = new Map<string, Port>();
    const taken = new Set(entry.ports.map(({ number }) => number));
    for (const protocol of [...new Set(instances.map(({ protocol }) => protocolOf(protocol)))].sort(compare)) {
        const name = protocol.toLowerCase();
        let number = entry.ports.find((port) => port.name === name)?.number;
        if (number === undefined) {
            number = Math.min(...instances.filter((one) => protocolOf(one.protocol) === protocol).map(({ port }) => port));
            while (taken.has(number)) number = (number % 65535) + 1;
            taken.add(number);
        }
        ports.set(protocol, { name, number, protocol });
    }
    // What was derived for instances that are gone stays, so that a port does not come and go.
    const names = new Set([...ports.values()].map(({ name }) => name));
    const kept = entry.ports.filter(({ name }) => !names.has(name)).map(portOf);
    return { ports, derived: [...ports.values(), ...kept].sort((a, b) => compare(a.name, b.name)) };
}

/** Those of the best priorities: the smaller the number, the better. */
function best(fit: Placed[], spare: number): Placed[] {
    const priorities = [...new Set(fit.map(({ instance }) => instance.priority))].sort((a, b) => a - b);
    const served = new Set(priorities.slice(0, spare + 1));
    return fit.filter(({ instance }) => served.has(instance.priority));
}

function endpoint({ instance, position }: Placed, port: Port): Endpoint {
    const { region, zone, campus } = instance.location;
    return {
        address: instance.host,
        ports: [[port.name, instance.port]],
        labels: [],
        weight: instance.weight,
        locality: [region, zone, campus].join("/").replace(/\/+$/, ""),
        instances: Uint32Array.of(position),
    };
}

/** The same text for the same content alone; which instances an endpoint stands for depends on the answer's order. */
function revision(update: Update): string {
    const text = JSON.stringify(update, (key, value: unknown) => (key === "instances" ? undefined : value));
    let [a, b] = [0x811c9dc5, 0x01000193];
    for (let at = 0; at < text.length; at++) {
        a = Math.imul(a ^ text.charCodeAt(at), 0x01000193);
        b = (Math.imul(b ^ text.charCodeAt(at), 0x85ebca6b) + at) | 0;
    }
    return [a, b, text.length].map((number) => (number >>> 0).toString(16).padStart(8, "0")).join("");
}

function rejected(code: string, message: string, remedy: string): Outcome {
    return { verdict: { tag: "rejected" }, diagnostics: [{ severity: "error", code, subject: { tag: "entry" }, message, remedy }] };
}

function convert({ service, entry, parameters, published }: Request): Outcome {
    const beside = spare(parameters);
    if (service.name === "") {
        return rejected("binding-missing", "the entry names no service of the registry",
            "Set the annotations aeraki.net/polarisNamespace and aeraki.net/polarisService.");
    }
    if (entry.hasWorkloadSelector) {
        return rejected("workload-selector", "the entry has a workloadSelector, which excludes endpoints", "Remove the workloadSelector.");
    }
    const fit = service.instances.map((instance, position) => ({ instance, position })).filter(({ instance }) => isFit(instance));
    const { ports, derived } = servicePorts(entry, fit.map(({ instance }) => instance));
    const placed = best(fit.filter(({ instance }) => ports.has(protocolOf(instance.protocol))), beside);
    placed.sort(({ instance: a }, { instance: b }) => compare(a.host, b.host) || a.port - b.port || compare(a.id, b.id));
    const endpoints = placed.flatMap((one) => {
        const port = ports.get(protocolOf(one.instance.protocol));
        return port === undefined ? [] : [endpoint(one, port)];
    });
    const update: Update = { resolution: "static", ports: derived, endpoints, annotations: [] };
    const diagnostics: Diagnostic[] = [];
    const leftOut = service.instances.length - endpoints.length;
    if (leftOut > 0) {
        const message = `${leftOut} of ${service.instances.length} instances are unfit, of a protocol that no port has, or stand by`;
        diagnostics.push({ severity: "info", code: "instances-left-out", subject: { tag: "service" }, message, remedy: "" });
    }
    const contentRevision = revision(update);
    if (contentRevision === published) return { verdict: { tag: "unchanged" }, diagnostics };
    return { verdict: { tag: "update", val: { ...update, contentRevision } }, diagnostics };
}

export const conversion = {
    describe: (): ModuleInfo => ({
        name: "best-priority",
        version: "0.1.0",
        summary: "The instances of the best priority alone, and of as many more as the parameter spare says.",
    }),
    convert,
};
