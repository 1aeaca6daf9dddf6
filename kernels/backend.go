package kernels

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// ErrUnsupported is wrapped by Supports when a backend lacks an operation or a
// combination of types. Lower may replace it by its plain definition.
var ErrUnsupported = errors.New("not supported by this backend")

// ErrNoDevice is wrapped by Open when the machine has no such device.
var ErrNoDevice = errors.New("no such device")

// ErrOutOfMemory is wrapped when a device or the host has too little memory.
var ErrOutOfMemory = errors.New("out of memory")

// ErrDeviceLost is wrapped by Run when the device has stopped working. Nothing
// that was on it can be read any more.
var ErrDeviceLost = errors.New("device lost")

// ErrTimeout is wrapped by Run when the device has not finished long after it
// should have. It may still be working, on memory that it was given.
var ErrTimeout = errors.New("the device does not answer")

// Place says on which side of the bus memory lies. Host memory is always
// visible to the CPU; where a device shares the CPU's memory they are one.
type Place uint8

// The two places.
const (
	Device Place = iota
	Host
)

// Backend runs programs on one device. Its methods may be called from one
// goroutine at a time.
type Backend interface {
	// Caps describes the device.
	Caps() Caps
	// Supports returns nil, or an error that wraps ErrUnsupported and says why.
	Supports(p *Program, in Instr) error
	// Plan gives dispatches, offsets and bytes. It allocates no device memory.
	Plan(p *Program) (Plan, error)
	// Alloc gives size bytes, zeroed, aligned to Caps().Align. The size may
	// exceed Caps().MaxBuffer; the buffer then is made of several pieces.
	Alloc(size int64, where Place) (Buffer, error)
	// Compile records the program. Every persistent slot must be in bind;
	// inputs and outputs may be, else the Exec owns memory for them. temp must
	// hold plan.TempBytes and may be shared by programs that do not run at
	// once. Plan chooses kernels and barriers before memory is known, so it
	// takes regions to start at multiples of Caps().Align, and the region of a
	// slot that the program writes to share no bytes with another's. What a
	// slot occupies must straddle no multiple of Caps().MaxBuffer in its
	// buffer; a temporary region of more than one piece starts at a multiple.
	Compile(p *Program, plan Plan, bind map[SlotID]Region, temp Region) (Exec, error)
	io.Closer
}

// Exec is a compiled program.
type Exec interface {
	// Input and Output give host-visible memory of a slot, valid between runs.
	// They return nil for a slot of another role, and for one that was bound to
	// memory that the CPU cannot see.
	Input(SlotID) []byte
	Output(SlotID) []byte
	// Run replays the program n times. A cancelled ctx stops it between
	// replays.
	Run(ctx context.Context, n int) error
	// Profile runs once, timing every dispatch.
	Profile(ctx context.Context) ([]Timing, error)
	io.Closer
}

// Buffer is a range of memory. Bytes is nil when the CPU cannot see it, or sees
// several pieces of it; use Upload and Download, which work everywhere. A buffer whose Bytes is nil
// should be an io.ReaderAt and io.WriterAt, else every transfer is a program.
type Buffer interface {
	Bytes() []byte
	Size() int64
	io.Closer
}

// Region is part of a buffer, in bytes.
type Region struct {
	Buffer Buffer
	Offset int64
	Size   int64
}

// Timing is the time of one dispatch.
type Timing struct {
	Instr   int // index into Program.Code
	Kernel  string
	Seconds float64
}

// Span is a range of bytes that a dispatch touches: inside a slot, or, with
// Slot Scratch, inside the program's temporary region.
type Span struct {
	Slot   SlotID
	Lo, Hi int64
}

// Scratch as a Span's slot means the temporary region itself.
const Scratch SlotID = -1

// Dispatch is one kernel launch: a part of an instruction. Instr and Part
// identify it, so that a test may run some of a plan's dispatches alone or in
// another order.
type Dispatch struct {
	Instr  int
	Part   int // counts the dispatches of the instruction from 0
	Kernel string
	Reads  []Span
	Writes []Span
}

// Plan is what a backend intends for a program, before anything is allocated.
type Plan struct {
	Dispatches []Dispatch
	Groups     []int   // index of the first dispatch of each barrier group
	Offsets    []int64 // per slot: byte offset in the temporary region, -1 for other roles
	TempBytes  int64   // temporaries and scratch
	Scratch    int64   // bytes of TempBytes that are kernels' scratch
	IOBytes    int64   // inputs and outputs that the Exec owns if none is bound
	HostBytes  int64   // what the Exec takes on the host beside them
}

// Cost is the work of an instruction.
type Cost struct {
	FLOPs int64 // multiplications and additions of the definition, not of a kernel
	Bytes int64 // compulsory traffic: every operand once
}

var registry struct {
	sync.Mutex
	names []string
	open  map[string]func(arg string) (Backend, error)
}

// Register makes a backend available under a name; packages of backends call
// it from init. arg is what follows the colon in Open.
func Register(name string, open func(arg string) (Backend, error)) {
	registry.Lock()
	defer registry.Unlock()
	if registry.open == nil {
		registry.open = map[string]func(string) (Backend, error){}
	}
	if _, ok := registry.open[name]; !ok {
		registry.names = append(registry.names, name)
	}
	registry.open[name] = open
}

// Backends returns the registered names, sorted.
func Backends() []string {
	registry.Lock()
	defer registry.Unlock()
	names := slices.Clone(registry.names)
	slices.Sort(names)
	return names
}

// Open opens a device by "name" or "name:arg", for example "vulkan:1".
func Open(device string) (Backend, error) {
	name, arg := device, ""
	for i := range device {
		if device[i] == ':' {
			name, arg = device[:i], device[i+1:]
			break
		}
	}
	registry.Lock()
	open := registry.open[name]
	registry.Unlock()
	if open == nil {
		return nil, fmt.Errorf("kernels: device %q: %w (have %v)", device, ErrNoDevice, Backends())
	}
	return open(arg)
}
