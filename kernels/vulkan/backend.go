package vulkan

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
	"graft/shaders"
)

// Backend runs programs on one Vulkan device.
type Backend struct {
	session session
	phys    vk.PhysicalDevice
	dev     *vk.Device
	props   vk.Properties
	info    Info

	memTypes  []vk.MemoryType
	heaps     []vk.MemoryHeap
	hasBudget bool  // the driver tells what is left of the heaps
	align     int64 // of regions
	guard     int64 // bytes that each piece of a buffer takes behind its own
	maxBuffer int64 // bytes of one piece of a buffer
	unified   bool  // the CPU sees device memory at full speed: no staging
	tickBits  int   // valid bits of timestamps; 0 is none

	segmentTime time.Duration // how long one submission may take

	layout    vk.PipelineLayout
	pipelines *pipelines
	buffers   map[*Buffer]struct{}
	execs     map[*exec]struct{}
	stage     *Buffer // nil where memory is unified

	late []*recording // closed while the device still worked on them

	units       int         // workgroups that it takes to keep the device busy
	matrix      matrixPaths // those that have passed their test
	matrixNotes []string    // what was found out about them

	product   *choice        // tests make every product by this variant
	attention *attentionTile // tests make all attention by this tile
}

var _ kernels.Backend = (*Backend)(nil)

// Open opens the device with the number arg, the best one when arg is empty, or the best
// that is no software driver when arg is Hardware.
// The error wraps kernels.ErrNoDevice when there is no such or no usable device.
func Open(arg string) (*Backend, error) { return openWith(arg, setup{}) }

// setup is what tests change of a device.
type setup struct {
	seam   *vk.Seam
	staged bool         // as if the CPU could not see the device's memory
	plain  bool         // without matrix cores
	tamper func([]byte) // changes what matrix cores have computed in their test
}

func openWith(arg string, o setup) (*Backend, error) {
	b, err := openOnce(arg, o)
	if !errors.Is(err, errMatrixLost) {
		return b, err
	}
	// What ends the device in a test would end it later: never again.
	o.plain = true
	lost := err
	if b, err = openOnce(arg, o); err == nil {
		b.matrixNotes = []string{fmt.Sprintf("matrix cores: off: %v", lost)}
	}
	return b, err
}

func openOnce(arg string, o setup) (*Backend, error) {
	s, err := openSession(o.seam)
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", typed(err))
	}
	b := &Backend{session: s, buffers: map[*Buffer]struct{}{}, execs: map[*exec]struct{}{}, segmentTime: segmentTime}
	if err := b.open(arg, o); err != nil {
		b.Close()
		return nil, fmt.Errorf("vulkan: %w", typed(err))
	}
	return b, nil
}

func (b *Backend) open(arg string, o setup) error {
	devs, infos, err := b.session.devices()
	if err != nil {
		return err
	}
	i, err := choose(infos, arg)
	if err != nil {
		return err
	}
	t := traitsOf(devs[i])
	b.phys, b.info, b.props = devs[i], infos[i], t.props
	b.memTypes, b.heaps = t.types, t.heaps
	b.hasBudget = slices.Contains(t.exts, vk.ExtMemoryBudget)
	b.unified = t.unified() && !o.staged
	b.tickBits = t.ticks()
	b.units = unitsOf(b.props.Type)
	use := vk.DeviceInfo{
		Family:   computeFamily(t.queues),
		Features: vk.Features{BufferAddress: true, StorageBuffer16: true, TimelineSemaphore: true},
	}
	o.plain = o.plain || os.Getenv(matrixEnv) == "off"
	if m := t.features.Matrix; m.Subgroup && !o.plain {
		use.Features.Matrix, use.Features.ShaderFloat16, use.Features.VulkanMemoryModel = m, true, true
		use.Extensions = m.Extensions()
	}
	if b.dev, err = b.phys.CreateDevice(use); err != nil {
		return err
	}
	if b.layout, err = b.dev.CreatePipelineLayout(pushBytes); err != nil {
		return err
	}
	b.pipelines = openPipelines(b.dev, b.layout, newCacheFile(os.Getenv(cacheEnv), b.props))
	if err := b.measure(); err != nil {
		return err
	}
	if !b.unified {
		if b.stage, err = b.alloc(stageBytes, kernels.Host); err != nil {
			return err
		}
	}
	return b.openMatrix(t, o)
}

// Caps describes the device.
func (b *Backend) Caps() kernels.Caps {
	device := b.info.Name
	if b.info.Software {
		device += ", a software driver"
	}
	return kernels.Caps{
		Name:        "vulkan",
		Device:      device,
		Fingerprint: fmt.Sprintf("vulkan/%s/%s/%s/%s", b.info.Name, b.info.Driver, shaders.Fingerprint(), b.target().fingerprint()),
		MatrixTypes: b.matrix.types(),
		Notes:       b.matrixNotes,
		Align:       b.align,
		Memory:      b.available(),
		MaxBuffer:   b.maxBuffer,
		Guard:       b.guard,
		Fixed:       b.stage.taken(),
	}
}

// available is what the device can still give, or all it has where the driver does not
// tell. The backend's own is counted in, since those who plan count it too.
func (b *Backend) available() int64 {
	if b.hasBudget && b.dev != nil {
		if n := budgetOf(b.phys.Budget(), b.heaps); n > 0 {
			return n + b.stage.taken()
		}
	}
	return b.info.Memory
}

// budgetOf is what is left of the largest heap of device-local memory; 0 is unknown.
func budgetOf(budgets []vk.Budget, heaps []vk.MemoryHeap) int64 {
	best := -1
	for i, h := range heaps {
		if h.DeviceLocal && (best < 0 || h.Size > heaps[best].Size) {
			best = i
		}
	}
	if best < 0 || budgets[best].Total == 0 {
		return 0
	}
	return max(1, budgets[best].Total-budgets[best].Used)
}

// Info describes the device that was opened.
func (b *Backend) Info() Info { return b.info }

// Supports tells whether there is a kernel for the instruction.
func (b *Backend) Supports(p *kernels.Program, in kernels.Instr) error {
	_, err := expandInstr(b.target(), p, 0, in)
	return err
}

// Close frees everything that came from the backend, buffers and programs included.
func (b *Backend) Close() error {
	if b.session.inst == nil {
		return nil
	}
	var idle, lost error
	if b.dev != nil {
		idle = b.dev.WaitIdle()
		for e := range b.execs {
			e.Close()
		}
		for _, r := range b.late {
			r.free()
		}
		for u := range b.buffers {
			u.Close()
		}
		if b.pipelines != nil {
			b.pipelines.close()
		}
		b.dev.DestroyPipelineLayout(b.layout)
		lost = b.dev.Close()
		b.dev, b.stage = nil, nil
	}
	left := b.session.close()
	b.session = session{}
	if err := cmp.Or(idle, lost, left); err != nil {
		return fmt.Errorf("vulkan: close: %w", typed(err))
	}
	return nil
}

func (b *Backend) closed() bool { return b.dev == nil }
