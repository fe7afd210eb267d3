{{/* What selects the pods, and is on every object. */}}
{{- define "polaris2istio.selector" -}}
app.kubernetes.io/name: polaris2istio
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "polaris2istio.labels" -}}
{{ include "polaris2istio.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The release's name, made one that says what it is, and fit for a DNS label. */}}
{{- define "polaris2istio.name" -}}
{{- if contains "polaris2istio" .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-polaris2istio" .Release.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* What is published in DNS, or nothing; YAML reads a bare `off` as false. */}}
{{- define "polaris2istio.dns" -}}
{{- $mode := toString .Values.names.mode }}
{{- if not (has $mode (list "off" "false")) }}{{ $mode }}{{ end }}
{{- end }}

{{/* The ports in the address of Polaris, read as the controller reads it, separated by commas. */}}
{{- define "polaris2istio.polarisPorts" -}}
{{- $ports := list }}
{{- $address := get (include "polaris2istio.env" . | fromYaml) "POLARIS2ISTIO_POLARIS_ADDRESS" }}
{{- range toString $address | splitList "," }}
{{- with trim . }}
{{- $scheme := lower . | regexFind "^https?://" }}
{{- $default := get (dict "https://" "443" "http://" "8090") $scheme | default "8091" }}
{{- $port := trimSuffix "/" . | regexFind ":[0-9]+$" | trimPrefix ":" }}
{{- $ports = append $ports ($port | default $default) }}
{{- end }}
{{- end }}
{{- $ports | uniq | join "," }}
{{- end }}
