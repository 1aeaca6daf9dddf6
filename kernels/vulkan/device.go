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

// Hardware is the argument that opens the best device that is no software driver:
// what to ask for where the user did not ask for Vulkan.
const Hardware = "hardware"

// Info describes a device that the drivers offer.
type Info struct {
	Index    int // what follows the colon in "vulkan:0"
	Name     string
	Type     string // discrete, integrated, virtual, software, other
	Driver   string
	API      string // version of Vulkan, "1.3.224"
	Software bool
	Memory   int64 // bytes of device-local memory
	// Missing says why the backend cannot use the device; empty when it can.
	Missing string
	// Optional lists what the device has of the abilities that the backend can do without.
	Optional string
}

// session is an opened loader with an instance.
type session struct {
	loader *vk.Loader
	inst   *vk.Instance
}

// openSession opens the loader and an instance; seam may be nil.
func openSession(seam *vk.Seam) (session, error) {
	loader, err := vk.Open()
	if err != nil {
		return session{}, fmt.Errorf("%w: %w", kernels.ErrNoDevice, err)
	}
	loader.SetSeam(seam)
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
	s, err := openSession(nil)
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", typed(err))
	}
	defer s.close()
	_, infos, err := s.devices()
	if err != nil {
		return nil, fmt.Errorf("vulkan: %w", typed(err))
	}
	return infos, nil
}

// devices lists the devices with their descriptions.
func (s session) devices() ([]vk.PhysicalDevice, []Info, error) {
	devs, err := s.inst.PhysicalDevices()
	if err != nil {
		return nil, nil, err
	}
	infos := make([]Info, len(devs))
	for i, d := range devs {
		infos[i] = describe(i, traitsOf(d))
	}
	return devs, infos, nil
}

func describe(index int, t traits) Info {
	p := t.props
	return Info{
		Index:    index,
		Name:     p.Name,
		Type:     p.Type.String(),
		Driver:   strings.TrimSpace(p.DriverName + " " + p.DriverInfo),
		API:      p.API.String(),
		Software: p.Type == vk.TypeCPU,
		Memory:   localMemory(t.heaps),
		Missing:  strings.Join(lacks(requirements(t)), ", "),
		Optional: strings.Join(has(optional(t)), ", "),
	}
}

// localMemory is the size of the largest heap of device-local memory.
func localMemory(heaps []vk.MemoryHeap) (n int64) {
	for _, h := range heaps {
		if h.DeviceLocal {
			n = max(n, h.Size)
		}
	}
	return n
}

// choose picks the device that arg names, or the best usable one for "" and Hardware.
func choose(infos []Info, arg string) (int, error) {
	if len(infos) == 0 {
		return 0, fmt.Errorf("%w: the Vulkan drivers offer no device", kernels.ErrNoDevice)
	}
	if arg != "" && arg != Hardware {
		i, err := strconv.Atoi(arg)
		if err != nil || i < 0 || i >= len(infos) {
			return 0, fmt.Errorf("device %q: %w: want a number from 0 to %d, or %s", arg, kernels.ErrNoDevice, len(infos)-1, Hardware)
		}
		if infos[i].Missing != "" {
			return 0, fmt.Errorf("device %d (%s) lacks %s: %w", i, infos[i].Name, infos[i].Missing, kernels.ErrNoDevice)
		}
		return i, nil
	}
	for _, typ := range []string{"discrete", "integrated", "virtual", "other", "software"} {
		for i, info := range infos {
			if info.Type == typ && info.Missing == "" && (arg == "" || !info.Software) {
				return i, nil
			}
		}
	}
	var why []string
	for i, info := range infos {
		if info.Missing != "" {
			why = append(why, fmt.Sprintf("%s lacks %s", info.Name, info.Missing))
		} else {
			why = append(why, fmt.Sprintf("%s is a software driver: ask for it as vulkan:%d", info.Name, i))
		}
	}
	return 0, fmt.Errorf("%w: %s", kernels.ErrNoDevice, strings.Join(why, "; "))
}
