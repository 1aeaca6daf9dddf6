package vulkan

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
)

func init() {
	kernels.Register("vulkan", func(arg string) (kernels.Backend, error) { return Open(arg) })
}

// pushBytes is how many bytes of push constants kernels may use: what every device has.
const pushBytes = 128

// Info describes a device that the drivers offer.
type Info struct {
	Index    int // what follows the colon in "vulkan:0"
	Name     string
	Type     string // discrete, integrated, virtual, software, other
	Driver   string
	Software bool
	Memory   int64 // bytes of device-local memory
	// Missing says why the backend cannot use the device; empty when it can.
	Missing string
}

// session is an opened loader with an instance.
type session struct {
	loader *vk.Loader
	inst   *vk.Instance
}

func openSession() (session, error) {
	loader, err := vk.Open()
	if err != nil {
		return session{}, fmt.Errorf("%w: %w", kernels.ErrNoDevice, err)
	}
	inst, err := loader.CreateInstance(vk.InstanceInfo{AppName: "graft"})
	if err != nil {
		loader.Close()
		// A loader without a driver answers so.
		if errors.Is(err, vk.ErrIncompatible) {
			err = fmt.Errorf("%w: no Vulkan driver is installed (%w)", kernels.ErrNoDevice, err)
		}
		return session{}, err
	}
	return session{loader, inst}, nil
}

func (s session) close() error { return errors.Join(s.inst.Close(), s.loader.Close()) }

// Devices lists the devices that the drivers offer, usable or not. It fails when there
// is no Vulkan loader or driver, or none was built in.
func Devices() ([]Info, error) {
	s, err := openSession()
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", err)
	}
	defer s.close()
	devs, err := s.inst.PhysicalDevices()
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", err)
	}
	infos := make([]Info, len(devs))
	for i, d := range devs {
		infos[i] = describe(i, d)
	}
	return infos, nil
}

func describe(index int, d vk.PhysicalDevice) Info {
	p := d.Properties()
	return Info{
		Index:    index,
		Name:     p.Name,
		Type:     p.Type.String(),
		Driver:   strings.TrimSpace(p.DriverName + " " + p.DriverInfo),
		Software: p.Type == vk.TypeCPU,
		Memory:   localMemory(d),
		Missing:  strings.Join(missing(d, p), ", "),
	}
}

func localMemory(d vk.PhysicalDevice) int64 {
	var n int64
	_, heaps := d.Memory()
	for _, h := range heaps {
		if h.DeviceLocal {
			n = max(n, h.Size)
		}
	}
	return n
}

// missing lists what a device lacks; nothing when the backend can use it.
func missing(d vk.PhysicalDevice, p vk.Properties) []string {
	if p.API.Major() < 1 || p.API.Major() == 1 && p.API.Minor() < 2 {
		return []string{fmt.Sprintf("Vulkan 1.2 (the driver has %v)", p.API)}
	}
	var lacks []string
	f := d.Features()
	for _, need := range []struct {
		has  bool
		name string
	}{
		{f.BufferAddress, "bufferDeviceAddress"},
		{f.StorageBuffer16, "storageBuffer16BitAccess"},
		{f.TimelineSemaphore, "timelineSemaphore"},
		{p.MaxPushConstants >= pushBytes, "128 bytes of push constants"},
		{p.MaxInvocations >= 256 && p.MaxGroupSize[0] >= 256, "256 invocations in a workgroup"},
		{computeFamily(d) >= 0, "a compute queue"},
	} {
		if !need.has {
			lacks = append(lacks, need.name)
		}
	}
	return lacks
}

// computeFamily returns the first queue family that computes, -1 for none.
func computeFamily(d vk.PhysicalDevice) int {
	for i, q := range d.QueueFamilies() {
		if q.Compute {
			return i
		}
	}
	return -1
}

// choose picks the device that arg names, or the best usable one for "".
func choose(infos []Info, arg string) (int, error) {
	if len(infos) == 0 {
		return 0, fmt.Errorf("%w: the Vulkan drivers offer no device", kernels.ErrNoDevice)
	}
	if arg != "" {
		i, err := strconv.Atoi(arg)
		if err != nil || i < 0 || i >= len(infos) {
			return 0, fmt.Errorf("device %q: %w: want a number from 0 to %d", arg, kernels.ErrNoDevice, len(infos)-1)
		}
		if infos[i].Missing != "" {
			return 0, fmt.Errorf("device %d (%s) lacks %s: %w", i, infos[i].Name, infos[i].Missing, kernels.ErrNoDevice)
		}
		return i, nil
	}
	rank := []string{"discrete", "integrated", "virtual", "other", "software"}
	for _, typ := range rank {
		for i, info := range infos {
			if info.Type == typ && info.Missing == "" {
				return i, nil
			}
		}
	}
	var why []string
	for _, info := range infos {
		why = append(why, fmt.Sprintf("%s lacks %s", info.Name, info.Missing))
	}
	return 0, fmt.Errorf("%w: %s", kernels.ErrNoDevice, strings.Join(why, "; "))
}
