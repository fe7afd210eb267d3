// One version alone: the instances whose version is the parameter `version` (`--module-param version=v2`) become endpoints, so
// that an entry can be made for a canary, or for those that stay behind.
//
// Rules of its own, and simple ones: the entry declares exactly one port, and every healthy instance of the version that is not
// isolated, has a weight and an IPv4 address becomes an endpoint of it. No content revision is given, so the host compares every
// answer with the entry.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

func describe() (name, version, summary string) {
	return "one-version", "0.1.0", "One declared port; the healthy instances of the parameter version alone."
}

// An error is the module's own trouble; what is wrong with the entry is a rejection.
func convert(asked *request) (outcome, error) {
	version := parameter(asked.parameters.slice(), "version")
	if version == "" {
		return outcome{}, errors.New("the parameter `version` is missing; set it, as --module-param version=v2")
	}
	ports := asked.entry.ports.slice()
	switch {
	case asked.service.name.length == 0:
		return rejected("binding-missing", "the entry names no service of the registry",
			"Set the annotations aeraki.net/polarisNamespace and aeraki.net/polarisService."), nil
	case asked.entry.hasWorkloadSelector:
		return rejected("workload-selector", "the entry has a workloadSelector, which excludes endpoints",
			"Remove the workloadSelector."), nil
	case len(ports) != 1:
		return rejected("one-port", "the entry does not declare exactly one port, which these rules need",
			"Declare one port, and make one entry for each protocol."), nil
	}

	instances := asked.service.instances.slice()
	var positions []uint32
	for position := range instances {
		if isFit(&instances[position], version) {
			positions = append(positions, uint32(position))
		}
	}
	// By what instances say, never by their position: the registry lists them in no particular order.
	slices.SortFunc(positions, func(a, b uint32) int { return compare(&instances[a], &instances[b]) })

	endpoints := make([]endpoint, 0, len(positions))
	for _, position := range positions {
		one := &instances[position]
		endpoints = append(endpoints, endpoint{
			address:   one.host,
			ports:     toList([]portNumber{{ports[0].name, one.port}}),
			labels:    toList([]pair{{toText("version"), one.version}}),
			weight:    one.weight,
			locality:  toText(locality(one.location)),
			instances: toList([]uint32{position}),
		})
	}
	answer := outcome{verdict: verdictUpdate, update: update{
		resolution: some[uint8](resolutionStatic),
		endpoints:  toList(endpoints),
	}}
	if left := len(instances) - len(positions); left > 0 {
		answer.diagnostics = toList([]diagnostic{{
			severity: severityInfo,
			code:     toText("instances-left-out"),
			subject:  subject{kind: subjectService},
			message:  toText(fmt.Sprintf("%d of %d instances are unfit or not of the version `%s`, and left out", left, len(instances), version)),
		}})
	}
	return answer, nil
}

func parameter(parameters []pair, name string) (value string) {
	for _, one := range parameters {
		if toString(one.key) == name {
			value = toString(one.value)
		}
	}
	return value
}

func isFit(one *instance, version string) bool {
	return one.healthy && !one.isolated && one.weight > 0 && one.port >= 1 && one.port <= 65535 &&
		toString(one.version) == version && isFitAddress(toString(one.host))
}

// Traffic to loopback or a cloud's metadata server is nothing that the host accepts, for the whole update.
func isFitAddress(host string) bool {
	address, err := netip.ParseAddr(host)
	return err == nil && address.Is4() && !address.IsLoopback() && !address.IsLinkLocalUnicast() &&
		!address.IsMulticast() && address.As4()[0] > 0 && address.As4()[0] < 224
}

func compare(a, b *instance) int {
	return cmp.Or(strings.Compare(toString(a.host), toString(b.host)), cmp.Compare(a.port, b.port),
		strings.Compare(toString(a.id), toString(b.id)))
}

// `region/zone/campus` without empty parts at the end; none with a slash inside a part.
func locality(of location) string {
	var parts []string
	for _, part := range []string{toString(of.region), toString(of.zone), toString(of.campus)} {
		if part == "" || strings.Contains(part, "/") {
			break
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "/")
}

func rejected(code, message, remedy string) outcome {
	return outcome{verdict: verdictRejected, diagnostics: toList([]diagnostic{{
		severity: severityError,
		code:     toText(code),
		subject:  subject{kind: subjectEntry},
		message:  toText(message),
		remedy:   toText(remedy),
	}})}
}
