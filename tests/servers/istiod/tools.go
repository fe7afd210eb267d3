//go:build tools

// Package tools names the programs that tests/servers/build takes from this
// module, so that `go mod tidy` keeps them and what they need.
package tools

import (
	_ "istio.io/istio/istioctl/cmd/istioctl"
	_ "istio.io/istio/pilot/cmd/pilot-agent"
	_ "istio.io/istio/pilot/cmd/pilot-discovery"
)
