// Ports by the names of one's own convention, and a label on every endpoint.
//
// Parameters: `ports` renames derived ports (`--module-param ports=http=http-web,grpc=grpc-api`), `label` is set on every
// endpoint (`--module-param label=mesh=blue`). Rules of its own, and simple ones: healthy instances with an IPv4 address;
// ports that someone declared stay as they are, and serve the instances of their protocol.

const PROTOCOLS = new Map([["http", "HTTP"], ["http2", "HTTP2"], ["https", "HTTPS"], ["grpc", "GRPC"]]);

/** A failure is the module's own trouble: what is thrown with `payload` becomes the WIT `failure`. */
class Failure extends Error {
    constructor(message) {
        super(message);
        this.payload = { message };
    }
}

/** `a=b,c=d` as a map. */
function pairs(parameters, name) {
    const [, text] = parameters.find(([key]) => key === name) ?? [name, ""];
    const parts = text.split(",").filter((part) => part !== "").map((part) => part.split("="));
    if (parts.some((part) => part.length !== 2 || part.includes(""))) {
        throw new Failure(`the parameter \`${name}\` is \`${text}\`; give it as name=value, more of them after commas`);
    }
    return new Map(parts);
}

/** Traffic to loopback or a cloud's metadata server is nothing that the host accepts, for the whole update. */
function isFitAddress(host) {
    if (!/^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/.test(host)) return false;
    const [a, b, ...rest] = host.split(".").map(Number);
    return [a, b, ...rest].every((part) => part < 256) && a > 0 && a < 224 && a !== 127 && !(a === 169 && b === 254);
}

function isFit({ healthy, isolated, weight, port, host }) {
    return healthy && !isolated && weight > 0 && port >= 1 && port <= 65535 && isFitAddress(host);
}

/** By UTF-16 code units, never by locale. */
function compare(a, b) {
    return a < b ? -1 : a > b ? 1 : 0;
}

function protocolOf(text) {
    return PROTOCOLS.get(text.toLowerCase()) ?? "TCP";
}

/** Protocol -> the port that serves it: declared, or derived, and then kept as it was derived first. */
function servicePorts(entry, instances, names) {
    const declared = entry.ports.filter((port) => port.declaredBy === "other");
    if (declared.length > 0) return { ports: new Map(declared.map((port) => [protocolOf(port.protocol), port])), derived: [] };
    const ports = new Map();
    const taken = new Set(entry.ports.map((port) => port.number));
    for (const protocol of [...new Set(instances.map(({ protocol }) => protocolOf(protocol)))].sort(compare)) {
        const name = names.get(protocol.toLowerCase()) ?? protocol.toLowerCase();
        const numbers = instances.filter((instance) => protocolOf(instance.protocol) === protocol).map(({ port }) => port);
        let number = entry.ports.find((port) => port.name === name)?.number;
        if (number === undefined) {
            number = Math.min(...numbers);
            while (taken.has(number)) number = (number % 65535) + 1;
            taken.add(number);
        }
        ports.set(protocol, { name, number, protocol, targetPort: undefined });
    }
    // What was derived for instances that are gone stays, so that a port does not come and go.
    const kept = entry.ports.filter((port) => ![...ports.values()].some(({ name }) => name === port.name));
    const all = [...ports.values(), ...kept.map(({ name, number, protocol, targetPort }) => ({ name, number, protocol, targetPort }))];
    return { ports, derived: all.sort((a, b) => compare(a.name, b.name)) };
}

function endpoint(instance, position, port, labels) {
    const { region, zone, campus } = instance.location;
    return {
        address: instance.host,
        ports: [[port.name, instance.port]],
        labels,
        weight: instance.weight,
        locality: [region, zone, campus].join("/").replace(/\/+$/, ""),
        serviceAccount: undefined,
        network: undefined,
        instances: [position],
    };
}

/** The same text for the same content alone; which instances an endpoint stands for depends on the answer's order. */
function revision(update) {
    const text = JSON.stringify(update, (key, value) => (key === "instances" ? undefined : value));
    let [a, b] = [0x811c9dc5, 0x01000193];
    for (let at = 0; at < text.length; at++) {
        a = Math.imul(a ^ text.charCodeAt(at), 0x01000193);
        b = Math.imul(b ^ text.charCodeAt(at), 0x85ebca6b) + at | 0;
    }
    return [a, b, text.length].map((number) => (number >>> 0).toString(16).padStart(8, "0")).join("");
}

function rejected(code, message, remedy) {
    return { verdict: { tag: "rejected" }, diagnostics: [{ severity: "error", code, subject: { tag: "entry" }, message, remedy }] };
}

function convert({ service, entry, parameters, published }) {
    const names = pairs(parameters, "ports");
    const labels = [...pairs(parameters, "label")].sort(([a], [b]) => compare(a, b));
    if (service.name === "") {
        return rejected("binding-missing", "the entry names no service of the registry",
            "Set the annotations aeraki.net/polarisNamespace and aeraki.net/polarisService.");
    }
    if (entry.hasWorkloadSelector) {
        return rejected("workload-selector", "the entry has a workloadSelector, which excludes endpoints", "Remove the workloadSelector.");
    }
    const fit = service.instances.map((instance, position) => ({ instance, position })).filter(({ instance }) => isFit(instance));
    const { ports, derived } = servicePorts(entry, fit.map(({ instance }) => instance), names);
    const served = fit.filter(({ instance }) => ports.has(protocolOf(instance.protocol)));
    served.sort(({ instance: a }, { instance: b }) => compare(a.host, b.host) || a.port - b.port || compare(a.id, b.id));
    const update = {
        resolution: "static",
        location: undefined,
        ports: derived,
        endpoints: served.map(({ instance, position }) => endpoint(instance, position, ports.get(protocolOf(instance.protocol)), labels)),
        annotations: [],
        contentRevision: undefined,
    };
    const diagnostics = [];
    const leftOut = service.instances.length - served.length;
    if (leftOut > 0) {
        const message = `${leftOut} of ${service.instances.length} instances are unfit or of a protocol that no port has, and left out`;
        diagnostics.push({ severity: "info", code: "instances-left-out", subject: { tag: "service" }, message, remedy: "" });
    }
    const contentRevision = revision(update);
    if (contentRevision === published) return { verdict: { tag: "unchanged" }, diagnostics };
    return { verdict: { tag: "update", val: { ...update, contentRevision } }, diagnostics };
}

export const conversion = {
    describe: () => ({
        name: "named-ports",
        version: "0.1.0",
        summary: "Ports by the names of the parameter ports, and the label of the parameter label on every endpoint.",
    }),
    convert,
};
