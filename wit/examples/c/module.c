// Weight by region: instances of the region named by the parameter `region` keep their weight, all others get a tenth of
// it, at least 1, so that traffic stays near while it can.
//
// Rules of its own, and simple ones: the entry declares exactly one port, and every healthy instance that is not isolated,
// has a weight and an IPv4 address becomes an endpoint of it. No content revision is given, so the host compares every
// answer with the entry. Nothing is freed here: each call runs in a fresh instance, which the host throws away.
#include <stdlib.h>
#include <string.h>

#include "converter.h"

typedef converter_string_t text_t;
typedef converter_list_tuple2_string_string_t pairs_t;
typedef exports_conversion_request_t request_t;
typedef exports_conversion_instance_t instance_t;
typedef exports_conversion_endpoint_t endpoint_t;
typedef exports_conversion_outcome_t outcome_t;
typedef exports_conversion_update_t update_t;
typedef exports_conversion_diagnostic_t diagnostic_t;
typedef exports_conversion_failure_t failure_t;

// A chosen instance, with its position in the request.
typedef struct {
  const instance_t *instance;
  uint32_t position;
} chosen_t;

// What the host does not take is better a trap than a wrong answer.
static void *room(size_t count, size_t size) {
  void *memory = calloc(count ? count : 1, size);
  if (!memory) abort();
  return memory;
}

static text_t text(const char *literal) {
  text_t copy;
  converter_string_dup(&copy, literal);
  return copy;
}

static int compare(text_t a, text_t b) {
  int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
  return order ? order : (a.len > b.len) - (a.len < b.len);
}

static bool equal(text_t a, const char *b) { return a.len == strlen(b) && memcmp(a.ptr, b, a.len) == 0; }

// The value of a key; none of length 0.
static text_t find(pairs_t pairs, const char *key) {
  for (size_t i = 0; i < pairs.len; i++)
    if (equal(pairs.ptr[i].f0, key)) return pairs.ptr[i].f1;
  return (text_t){0};
}

// Whether it is an IPv4 address that traffic may be sent to. For one that it may not, such as loopback or a cloud's
// metadata server, the host would refuse the whole update.
static bool is_fit_address(text_t host) {
  unsigned octet[4] = {0}, at = 0, digits = 0;
  for (size_t i = 0; i < host.len; i++) {
    uint8_t c = host.ptr[i];
    if (c >= '0' && c <= '9' && digits < 3 && !(digits && octet[at] == 0)) {
      octet[at] = octet[at] * 10 + (c - '0');
      digits++;
    } else if (c == '.' && digits && at < 3) {
      at++;
      digits = 0;
    } else {
      return false;
    }
    if (octet[at] > 255) return false;
  }
  bool link_local = octet[0] == 169 && octet[1] == 254;
  return at == 3 && digits && octet[0] != 0 && octet[0] != 127 && octet[0] < 224 && !link_local;
}

static bool is_fit(const instance_t *instance) {
  return instance->healthy && !instance->isolated && instance->weight > 0 && instance->port >= 1 &&
         instance->port <= 65535 && is_fit_address(instance->host);
}

// By what instances say, never by their position: the registry lists them in no particular order.
static int by_content(const void *left, const void *right) {
  const instance_t *a = ((const chosen_t *)left)->instance, *b = ((const chosen_t *)right)->instance;
  int order = compare(a->host, b->host);
  if (!order) order = (a->port > b->port) - (a->port < b->port);
  return order ? order : compare(a->id, b->id);
}

// `region/zone/campus` without empty parts at the end; none with a slash inside a part.
static text_t locality(const exports_conversion_location_t *location) {
  const text_t parts[] = {location->region, location->zone, location->campus};
  text_t joined = {room(location->region.len + location->zone.len + location->campus.len + 2, 1), 0};
  for (size_t i = 0; i < 3 && parts[i].len && !memchr(parts[i].ptr, '/', parts[i].len); i++) {
    if (i) joined.ptr[joined.len++] = '/';
    memcpy(joined.ptr + joined.len, parts[i].ptr, parts[i].len);
    joined.len += parts[i].len;
  }
  return joined;
}

static uint32_t weight(const instance_t *instance, text_t region) {
  uint32_t tenth = instance->weight / 10;
  return compare(instance->location.region, region) == 0 ? instance->weight : tenth ? tenth : 1;
}

static endpoint_t endpoint(chosen_t chosen, text_t port, text_t region) {
  endpoint_t endpoint = {.address = chosen.instance->host,
                         .weight = weight(chosen.instance, region),
                         .locality = locality(&chosen.instance->location)};
  endpoint.ports.ptr = room(endpoint.ports.len = 1, sizeof *endpoint.ports.ptr);
  // A copy, since the bindings free an outcome after the call, and what stood in it twice would be freed twice.
  converter_string_dup_n(&endpoint.ports.ptr[0].f0, (const char *)port.ptr, port.len);
  endpoint.ports.ptr[0].f1 = chosen.instance->port;
  endpoint.instances.ptr = room(endpoint.instances.len = 1, sizeof *endpoint.instances.ptr);
  endpoint.instances.ptr[0] = chosen.position;
  return endpoint;
}

static void diagnose(outcome_t *outcome, uint8_t severity, const char *code, uint8_t subject, const char *message,
                     const char *remedy) {
  outcome->diagnostics.ptr = room(outcome->diagnostics.len = 1, sizeof(diagnostic_t));
  outcome->diagnostics.ptr[0] = (diagnostic_t){.severity = severity,
                                               .code = text(code),
                                               .subject = {.tag = subject},
                                               .message = text(message),
                                               .remedy = text(remedy)};
}

static bool reject(outcome_t *outcome, const char *code, const char *message, const char *remedy) {
  outcome->verdict.tag = EXPORTS_CONVERSION_VERDICT_REJECTED;
  diagnose(outcome, EXPORTS_CONVERSION_SEVERITY_ERROR, code, EXPORTS_CONVERSION_SUBJECT_ENTRY, message, remedy);
  return true;
}

void exports_conversion_describe(exports_conversion_module_info_t *info) {
  info->name = text("weight-by-region");
  info->version = text("0.1.0");
  info->summary = text("One declared port; instances outside of the parameter region get a tenth of their weight.");
}

// True for an outcome, a rejection included; false for the module's own trouble.
bool exports_conversion_convert(request_t *request, outcome_t *outcome, failure_t *failure) {
  text_t region = find(request->parameters, "region");
  if (!region.len) {
    failure->message = text("the parameter `region` is missing; set it, as --module-param region=ap-guangzhou");
    return false;
  }
  *outcome = (outcome_t){0};
  if (!request->service.name.len)
    return reject(outcome, "binding-missing", "the entry names no service of the registry",
                  "Set the annotations aeraki.net/polarisNamespace and aeraki.net/polarisService.");
  if (request->entry.has_workload_selector)
    return reject(outcome, "workload-selector", "the entry has a workloadSelector, which excludes endpoints",
                  "Remove the workloadSelector.");
  if (request->entry.ports.len != 1)
    return reject(outcome, "one-port", "the entry does not declare exactly one port, which these rules need",
                  "Declare one port, and make one entry for each protocol.");

  size_t all = request->service.instances.len, count = 0;
  chosen_t *chosen = room(all, sizeof *chosen);
  for (size_t i = 0; i < all; i++) {
    const instance_t *instance = &request->service.instances.ptr[i];
    if (is_fit(instance)) chosen[count++] = (chosen_t){instance, i};
  }
  qsort(chosen, count, sizeof *chosen, by_content);

  outcome->verdict.tag = EXPORTS_CONVERSION_VERDICT_UPDATE;
  update_t *update = &outcome->verdict.val.update;
  update->resolution.is_some = true;
  update->resolution.val = EXPORTS_CONVERSION_RESOLUTION_STATIC;
  update->endpoints.ptr = room(update->endpoints.len = count, sizeof(endpoint_t));
  for (size_t i = 0; i < count; i++)
    update->endpoints.ptr[i] = endpoint(chosen[i], request->entry.ports.ptr[0].name, region);
  if (count < all)
    diagnose(outcome, EXPORTS_CONVERSION_SEVERITY_INFO, "instances-left-out", EXPORTS_CONVERSION_SUBJECT_SERVICE,
             "some instances are unhealthy, isolated, without weight or port, or have no IPv4 address that traffic may "
             "be sent to; they are left out",
             "");
  return true;
}
