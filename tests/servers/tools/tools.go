//go:build tools

// Package tools names the programs that tests/servers/build takes from this
// module, beside ./coredns, so that `go mod tidy` keeps them and what they need.
package tools

import (
	_ "github.com/prometheus/prometheus/cmd/promtool"
	_ "helm.sh/helm/v4/cmd/helm"
)
