{{/* The container's variables by name, those of .Values.env over the chart's own: a list may not name one twice. */}}
{{- define "polaris2istio.env" -}}
{{- $own := include "polaris2istio.ownEnv" . | fromYaml }}
{{- range $name, $value := .Values.env }}
{{- $_ := set $own $name (kindIs "map" $value | ternary $value (include "polaris2istio.text" $value)) }}
{{- end }}
{{- toYaml $own }}
{{- end }}

{{- define "polaris2istio.ownEnv" -}}
POLARIS2ISTIO_POLARIS_ADDRESS: {{ required "polaris.address: where is Polaris? host:port" .Values.polaris.address | quote }}
POLARIS2ISTIO_NAMESPACE: {{ .Values.entriesNamespace | quote }}
POLARIS2ISTIO_LOG_FORMAT: json
POLARIS2ISTIO_MODULE_CACHE: /var/cache/polaris2istio
# For `kubectl exec ... -- polaris2istio status` and other commands.
POLARIS2ISTIO_SOCKET: /run/polaris2istio/socket
POLARIS2ISTIO_STATE: configmap:{{ include "polaris2istio.name" . }}-state
POLARIS2ISTIO_LEASE: {{ include "polaris2istio.name" . }}
POD_NAME: {fieldRef: {fieldPath: metadata.name}}
POD_NAMESPACE: {fieldRef: {fieldPath: metadata.namespace}}
{{- if .Values.polaris.tokenSecret.name }}
POLARIS2ISTIO_POLARIS_TOKEN_FILE: /etc/polaris2istio/token/{{ .Values.polaris.tokenSecret.key }}
{{- end }}
{{- if .Values.polaris.tlsSecret.name }}
POLARIS2ISTIO_POLARIS_CA_FILE: /etc/polaris2istio/tls/ca.crt
{{- if .Values.polaris.tlsSecret.clientCertificate }}
POLARIS2ISTIO_POLARIS_CERT_FILE: /etc/polaris2istio/tls/tls.crt
POLARIS2ISTIO_POLARIS_KEY_FILE: /etc/polaris2istio/tls/tls.key
{{- end }}
{{- end }}
{{- with include "polaris2istio.dns" . }}
POLARIS2ISTIO_DNS: {{ . | quote }}
{{- end }}
{{- if .Values.policies.enabled }}
POLARIS2ISTIO_POLICIES: "true"
{{- end }}
{{- if .Values.names.repairVip }}
POLARIS2ISTIO_REPAIR_VIP: "true"
{{- end }}
{{- end }}

{{/* A scalar as text. Numbers of a values file are floats, which would show as 1e+06. */}}
{{- define "polaris2istio.text" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) .) }}{{ int64 . }}{{ else if not (kindIs "invalid" .) }}{{ toString . }}{{ end }}
{{- end }}
