package vulkan

import (
	"cmp"
	"fmt"
	"os"
	"time"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
	"graft/shaders"
)

// Backend runs programs on one Vulkan device.
type Backend struct {
	session session
	dev     *vk.Device
	props   vk.Properties
	info    Info

	memTypes  []vk.MemoryType
	heaps     []vk.MemoryHeap
	align     int64
	maxBuffer int64 // bytes of one piece of a buffer
	unified   bool  // the CPU sees device memory at full speed: no staging
	tickBits  int   // valid bits of timestamps; 0 is none

	segmentTime time.Duration // how long one submission may take

	layout    vk.PipelineLayout
	pipelines *pipelines
	buffers   map[*Buffer]struct{}
	execs     map[*exec]struct{}
	stage     *Buffer

	product *choice // tests make every product by this variant
}

var _ kernels.Backend = (*Backend)(nil)

// Open opens the device with the number arg, the best one when arg is empty, or the best
// that is no software driver when arg is Hardware.
// The error wraps kernels.ErrNoDevice when there is no such or no usable device.
func Open(arg string) (*Backend, error) {
	s, err := openSession()
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", err)
	}
	b, err := s.open(arg)
	if err != nil {
		s.close()
		return nil, fmt.Errorf("vulkan: %w", err)
	}
	return b, nil
}

func (s session) open(arg string) (*Backend, error) {
	devs, err := s.inst.PhysicalDevices()
	if err != nil {
		return nil, err
	}
	infos := make([]Info, len(devs))
	for i, d := range devs {
		infos[i] = describe(i, traitsOf(d))
	}
	i, err := choose(infos, arg)
	if err != nil {
		return nil, err
	}
	t := traitsOf(devs[i])
	b := &Backend{
		session: s,
		props:   t.props,
		info:    infos[i],
		buffers: map[*Buffer]struct{}{},
		execs:   map[*exec]struct{}{},
	}
	b.memTypes, b.heaps = t.types, t.heaps
	b.unified = b.props.Type == vk.TypeIntegrated || b.props.Type == vk.TypeCPU
	b.align = max(minAlign, b.props.BufferAlign)
	b.maxBuffer = (min(b.props.MaxAllocationSize, b.props.MaxBufferSize) - guard) / b.align * b.align
	b.tickBits = t.ticks()
	b.dev, err = devs[i].CreateDevice(vk.DeviceInfo{
		Family:   computeFamily(t.queues),
		Features: vk.Features{BufferAddress: true, StorageBuffer16: true, TimelineSemaphore: true},
	})
	if err != nil {
		return nil, err
	}
	if b.layout, err = b.dev.CreatePipelineLayout(pushBytes); err != nil {
		b.dev.Close()
		return nil, err
	}
	b.pipelines = openPipelines(b.dev, b.layout, newCacheFile(os.Getenv(cacheEnv), b.props))
	return b, nil
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
		Fingerprint: fmt.Sprintf("vulkan/%s/%s/%s", b.info.Name, b.info.Driver, shaders.Fingerprint()),
		Align:       b.align,
		Memory:      b.info.Memory,
		MaxBuffer:   b.maxBuffer,
		Guard:       guard,
	}
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
	if b.closed() {
		return nil
	}
	idle := b.dev.WaitIdle()
	for e := range b.execs {
		e.Close()
	}
	for u := range b.buffers {
		u.Close()
	}
	b.pipelines.close()
	b.dev.DestroyPipelineLayout(b.layout)
	lost := b.dev.Close()
	b.dev = nil
	left := b.session.close()
	if err := cmp.Or(idle, lost, left); err != nil {
		return fmt.Errorf("vulkan: close: %w", typed(err))
	}
	return nil
}

func (b *Backend) closed() bool { return b.dev == nil }
