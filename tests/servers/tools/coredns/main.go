// A CoreDNS of the plugins that the tests' Corefile names, and no other: the
// full set takes far longer to compile.
package main

import (
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
)

// The order in which plugins handle a request: the template stands where a
// cluster has its forward, after the cluster's own zone.
func init() {
	dnsserver.Directives = []string{"bind", "ready", "errors", "log", "kubernetes", "template"}
}

func main() { coremain.Run() }
