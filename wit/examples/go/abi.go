package main

// What stands between the component model and Go: the records of wit/converter.wit as they lie in memory, and the exported
// functions. A field that is added to the world is added here, in its place: the canonical ABI lays records out as Go does
// structs, with a text or a list as an address and a length of 32 bits each.

import (
	"runtime/debug"
	"unsafe"
)

type list[T any] struct{ address, length uint32 }

type text = list[byte]

type pair struct{ key, value text }

type option[T any] struct {
	isSome bool
	value  T
}

type location struct{ region, zone, campus text }

type instance struct {
	id, host          text
	port              uint32
	protocol, version text
	weight, priority  uint32
	healthy, isolated bool
	location          location
	metadata          list[pair]
}

type service struct {
	namespace, name, revision text
	metadata                  list[pair]
	instances                 list[instance]
}

type entryPort struct {
	name       text
	number     uint32
	protocol   text
	targetPort option[uint32]
	declaredBy uint8
}

type entry struct {
	namespace, name      text
	labels, annotations  list[pair]
	hosts, addresses     list[text]
	location, resolution option[uint8]
	exportTo             list[text]
	hasWorkloadSelector  bool
	ports                list[entryPort]
}

type request struct {
	service    service
	entry      entry
	parameters list[pair]
	published  option[text]
}

type port struct {
	name       text
	number     uint32
	protocol   text
	targetPort option[uint32]
}

type portNumber struct {
	name   text
	number uint32
}

type endpoint struct {
	address                 text
	ports                   list[portNumber]
	labels                  list[pair]
	weight                  uint32
	locality                text
	serviceAccount, network option[text]
	instances               list[uint32]
}

type update struct {
	resolution, location option[uint8]
	ports                list[port]
	endpoints            list[endpoint]
	annotations          list[pair]
	contentRevision      option[text]
}

type subject struct {
	kind  uint8
	value text
}

type diagnostic struct {
	severity        uint8
	code            text
	subject         subject
	message, remedy text
}

type outcome struct {
	verdict     uint8
	update      update
	diagnostics list[diagnostic]
}

// A result: an outcome, or with isFailure a failure, whose message lies where the outcome would begin.
type result struct {
	isFailure bool
	outcome   outcome
}

type failure struct {
	isFailure bool
	message   text
}

type moduleInfo struct{ name, version, summary text }

const (
	verdictUnchanged = iota
	verdictUpdate
	verdictRejected
)

const (
	severityInfo = iota
	severityWarning
	severityError
)

const (
	subjectEntry = iota
	subjectService
)

const resolutionStatic = 1

// Each call runs in a fresh instance, which is thrown away: nothing is worth collecting, and what Go hands out to the host must
// not be.
func init() { debug.SetGCPercent(-1) }

func at[T any](address uint32) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(nil), address))
}

func (l list[T]) slice() []T {
	if l.length == 0 {
		return nil
	}
	return unsafe.Slice(at[T](l.address), l.length)
}

func toString(t text) string {
	if t.length == 0 {
		return ""
	}
	return unsafe.String(at[byte](t.address), t.length)
}

func toList[T any](items []T) list[T] {
	if len(items) == 0 {
		return list[T]{}
	}
	return list[T]{uint32(uintptr(unsafe.Pointer(&items[0]))), uint32(len(items))}
}

func toText(s string) text {
	if s == "" {
		return text{}
	}
	return text{uint32(uintptr(unsafe.Pointer(unsafe.StringData(s)))), uint32(len(s))}
}

func some[T any](value T) option[T] { return option[T]{true, value} }

//go:wasmexport cabi_realloc
func realloc(old unsafe.Pointer, oldSize, align, size uint32) unsafe.Pointer {
	if size == 0 {
		return unsafe.Pointer(unsafe.SliceData(make([]uint64, 1)))
	}
	room := unsafe.Pointer(unsafe.SliceData(make([]uint64, (size+7)/8)))
	copy(unsafe.Slice((*byte)(room), size), unsafe.Slice((*byte)(old), oldSize))
	return room
}

//go:wasmexport polaris2istio:conversion/conversion@0.2.0#describe
func exportDescribe() unsafe.Pointer {
	name, version, summary := describe()
	return unsafe.Pointer(&moduleInfo{toText(name), toText(version), toText(summary)})
}

//go:wasmexport polaris2istio:conversion/conversion@0.2.0#convert
func exportConvert(asked unsafe.Pointer) unsafe.Pointer {
	answer, err := convert((*request)(asked))
	if err != nil {
		return unsafe.Pointer(&failure{true, toText(err.Error())})
	}
	return unsafe.Pointer(&result{outcome: answer})
}

// A reactor has no main; Go wants one all the same.
func main() {}
