"""Leaves out the instances that have some metadata.

Parameter: `without` names it (`--module-param without=env=gray`); without the parameter none is left out. Rules of its own, and
simple ones: healthy instances with an IP address; ports that someone declared stay as they are, and serve the instances of their
protocol. The types are in `target/bindings/wit_world`, made of `wit/converter.wit` by every build.
"""

import hashlib
import ipaddress
from typing import List, Optional, Tuple

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.conversion import (
    Declarer,
    Diagnostic,
    Endpoint,
    Entry,
    Failure,
    Instance,
    ModuleInfo,
    Outcome,
    Port,
    Request,
    Resolution,
    Severity,
    Subject_Entry,
    Subject_Service,
    Update,
    Verdict_Rejected,
    Verdict_Unchanged,
    Verdict_Update,
)

PROTOCOLS = {"http": "HTTP", "http2": "HTTP2", "https": "HTTPS", "grpc": "GRPC"}


class Conversion(exports.Conversion):
    """The two functions that a module has."""

    def describe(self) -> ModuleInfo:
        return ModuleInfo("without", "0.1.0", "Leaves out the instances that have the metadata of the parameter without.")

    def convert(self, request: Request) -> Outcome:
        service, entry = request.service, request.entry
        unwanted = without(request.parameters)
        if service.name == "":
            return rejected(
                "binding-missing",
                "the entry names no service of the registry",
                "Set the annotations aeraki.net/polarisNamespace and aeraki.net/polarisService.",
            )
        if entry.has_workload_selector:
            return rejected(
                "workload-selector",
                "the entry has a workloadSelector, which excludes endpoints",
                "Remove the workloadSelector.",
            )
        fit = [(one, at) for at, one in enumerate(service.instances) if is_fit(one) and unwanted not in one.metadata]
        ports, derived = service_ports(entry, [one for one, _ in fit])
        served = [(one, at) for one, at in fit if protocol_of(one.protocol) in ports]
        served.sort(key=lambda placed: (placed[0].host, placed[0].port, placed[0].id))
        endpoints = [endpoint(one, at, ports[protocol_of(one.protocol)]) for one, at in served]
        update = Update(Resolution.STATIC, None, derived, endpoints, [], None)
        left_out = len(service.instances) - len(endpoints)
        diagnostics = []
        if left_out:
            message = f"{left_out} of {len(service.instances)} instances are unfit, unwanted, or of a protocol that no port has"
            diagnostics.append(Diagnostic(Severity.INFO, "instances-left-out", Subject_Service(), message, ""))
        update.content_revision = revision(update)
        if update.content_revision == request.published:
            return Outcome(Verdict_Unchanged(), diagnostics)
        return Outcome(Verdict_Update(update), diagnostics)


def without(parameters: List[Tuple[str, str]]) -> Optional[Tuple[str, str]]:
    """The metadata that keeps an instance out."""
    text = dict(parameters).get("without")
    if text is None:
        return None
    key, mark, value = text.partition("=")
    if not (key and mark):
        # The module's own trouble.
        raise Err(Failure(f"the parameter `without` is `{text}`; give it as key=value"))
    return key, value


def is_fit(one: Instance) -> bool:
    """Traffic to loopback or a cloud's metadata server is nothing that the host accepts, for the whole update."""
    if not one.healthy or one.isolated or one.weight == 0 or not 1 <= one.port <= 65535:
        return False
    try:
        address = ipaddress.ip_address(one.host)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast or address.is_reserved)


def protocol_of(text: str) -> str:
    return PROTOCOLS.get(text.lower(), "TCP")


def service_ports(entry: Entry, instances: List[Instance]) -> Tuple[dict, List[Port]]:
    """Protocol -> the port that serves it: declared, or derived, and then kept as it was derived first."""
    declared = [port for port in entry.ports if port.declared_by == Declarer.OTHER]
    if declared:
        return {protocol_of(port.protocol): port for port in declared}, []
    ports = {}
    known = {port.name: port for port in entry.ports}
    taken = {port.number for port in entry.ports}
    for protocol in sorted({protocol_of(one.protocol) for one in instances}):
        name = protocol.lower()
        if name in known:
            number = known[name].number
        else:
            number = min(one.port for one in instances if protocol_of(one.protocol) == protocol)
            while number in taken:
                number = number % 65535 + 1
            taken.add(number)
        ports[protocol] = Port(name, number, protocol, None)
    # What was derived for instances that are gone stays, so that a port does not come and go.
    names = {port.name for port in ports.values()}
    kept = [Port(port.name, port.number, port.protocol, port.target_port) for port in entry.ports if port.name not in names]
    return ports, sorted([*ports.values(), *kept], key=lambda port: port.name)


def endpoint(one: Instance, at: int, port: Port) -> Endpoint:
    place = one.location
    locality = "/".join([place.region, place.zone, place.campus]).rstrip("/")
    return Endpoint(one.host, [(port.name, one.port)], [], one.weight, locality, None, None, [at])


def revision(update: Update) -> str:
    """The same text for the same content alone; which instances an endpoint stands for depends on the answer's order."""
    endpoints = [(each.address, each.ports, each.weight, each.locality) for each in update.endpoints]
    ports = [(port.name, port.number, port.protocol, port.target_port) for port in update.ports]
    return hashlib.sha256(repr((ports, endpoints)).encode()).hexdigest()[:32]


def rejected(code: str, message: str, remedy: str) -> Outcome:
    return Outcome(Verdict_Rejected(), [Diagnostic(Severity.ERROR, code, Subject_Entry(), message, remedy)])
