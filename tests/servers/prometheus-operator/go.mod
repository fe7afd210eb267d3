// The CRDs of the Prometheus operator lie in this module's zip; nothing of it is compiled.
module polaris2istio.test/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
