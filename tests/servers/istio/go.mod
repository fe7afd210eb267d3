// Istio's CRDs lie in this module's zip; nothing of it is compiled.
module polaris2istio.test/istio

go 1.26.0

require istio.io/api v1.31.1
