//go:build tools

// Package tools names the one program that tests/servers/build takes from this
// module, so that `go mod tidy` keeps it and what it needs.
package tools

import _ "github.com/prometheus/prometheus/cmd/promtool"
