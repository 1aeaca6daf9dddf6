package vulkan

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"graft/kernels"
	"graft/kernels/vulkan/vk"
)

func TestChoose(t *testing.T) {
	soft := Info{Index: 0, Name: "soft", Type: "software", Software: true}
	small := Info{Index: 1, Name: "small", Type: "integrated"}
	big := Info{Index: 2, Name: "big", Type: "discrete"}
	old := Info{Index: 3, Name: "old", Type: "discrete", Missing: "Vulkan 1.2"}
	for _, c := range []struct {
		name  string
		infos []Info
		arg   string
		want  int
		err   string
	}{
		{name: "discrete first", infos: []Info{soft, small, big}, want: 2},
		{name: "integrated before software", infos: []Info{soft, small}, want: 1},
		{name: "software when nothing else", infos: []Info{soft}, want: 0},
		{name: "unusable is passed over", infos: []Info{old, soft}, want: 1},
		{name: "virtual before others", infos: []Info{soft, {Type: "other"}, {Type: "virtual"}}, want: 2},
		{name: "hardware first", infos: []Info{soft, small}, arg: "hardware", want: 1},
		{name: "hardware only", infos: []Info{old, soft}, arg: "hardware",
			err: "old lacks Vulkan 1.2; soft is a software driver: ask for it as vulkan:1"},
		{name: "by number", infos: []Info{soft, small, big}, arg: "0", want: 0},
		{name: "no device", err: "no device"},
		{name: "number too large", infos: []Info{soft}, arg: "1", err: "from 0 to 0"},
		{name: "not a number", infos: []Info{soft}, arg: "first", err: `"first"`},
		{name: "asked for an unusable one", infos: []Info{old}, arg: "0", err: "old) lacks Vulkan 1.2"},
		{name: "only unusable ones", infos: []Info{old}, err: "old lacks Vulkan 1.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := choose(c.infos, c.arg)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || !errors.Is(err, kernels.ErrNoDevice) {
					t.Errorf("got %v, want ErrNoDevice with %q", err, c.err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %d, %v, want %d", got, err, c.want)
			}
		})
	}
}

// TestRequirements takes one thing after another away from a device that has all.
func TestRequirements(t *testing.T) {
	full := traits{
		props: vk.Properties{API: 1<<22 | 2<<12, MaxAllocationSize: 1 << 30, MaxBufferSize: 1 << 30, MaxPushConstants: 128,
			MaxSharedMemory: 32 << 10, MaxInvocations: 256, MaxGroupSize: [3]uint32{256, 1, 1}, MaxGroups: [3]uint32{65535, 65535, 65535}},
		features: vk.Features{BufferAddress: true, StorageBuffer16: true, TimelineSemaphore: true},
		queues:   []vk.QueueFamily{{Graphics: true}, {Compute: true, TimestampBits: 36}},
		types:    []vk.MemoryType{{Flags: vk.MemoryDeviceLocal}, {Flags: vk.MemoryHostVisible | vk.MemoryHostCoherent}},
	}
	if got := lacks(requirements(full)); got != nil {
		t.Fatalf("a device with all lacks %q", got)
	}
	for want, take := range map[string]func(*traits){
		"Vulkan 1.2 (the driver has 1.1.0)": func(t *traits) { t.props.API = 1<<22 | 1<<12 },
		"bufferDeviceAddress":               func(t *traits) { t.features.BufferAddress = false },
		"storageBuffer16BitAccess":          func(t *traits) { t.features.StorageBuffer16 = false },
		"timelineSemaphore":                 func(t *traits) { t.features.TimelineSemaphore = false },
		"a compute queue":                   func(t *traits) { t.queues = t.queues[:1] },
		"device-local memory":               func(t *traits) { t.types = t.types[1:] },
		"memory that the CPU can see":       func(t *traits) { t.types = t.types[:1] },
		"buffers of 1 GiB":                  func(t *traits) { t.props.MaxBufferSize-- },
		"128 bytes of push constants":       func(t *traits) { t.props.MaxPushConstants = 64 },
		"32 KiB of shared memory":           func(t *traits) { t.props.MaxSharedMemory = 16 << 10 },
		"256 invocations in a workgroup":    func(t *traits) { t.props.MaxGroupSize[0] = 128 },
		"65535 workgroups":                  func(t *traits) { t.props.MaxGroups[2] = 1024 },
	} {
		less := full
		take(&less)
		if got := lacks(requirements(less)); len(got) != 1 || got[0] != want {
			t.Errorf("without %s: got %q", want, got)
		}
	}
	full.features.StorageBuffer8, full.exts = true, []string{"VK_EXT_memory_budget"}
	if got, want := has(optional(full)), []string{"8-bit storage", "timestamps", "memory budget"}; !slices.Equal(got, want) {
		t.Errorf("optional: got %q, want %q", got, want)
	}
}

// TestCaps also shows, with -v, what the tests ran on.
func TestCaps(t *testing.T) {
	b := open(t)
	c := b.Caps()
	t.Logf("%+v", c)
	t.Logf("%+v", b.Info())
	if c.Name != "vulkan" || b.Info().Name == "" || c.Memory <= 0 || c.Align%256 != 0 || !strings.Contains(c.Fingerprint, b.Info().Name) ||
		strings.HasSuffix(c.Device, "software driver") != b.Info().Software {
		t.Errorf("caps %+v", c)
	}
	infos, err := Devices()
	if err != nil || len(infos) == 0 || infos[b.Info().Index] != b.Info() {
		t.Errorf("devices %+v, %v, want %+v among them", infos, err, b.Info())
	}
}

func TestAllocTooLarge(t *testing.T) {
	b := open(t)
	if _, err := b.Alloc(-1, kernels.Device); err == nil {
		t.Error("-1 bytes: allocated")
	}
	for _, n := range []int64{b.largestHeap() + 1, 1 << 62} {
		if _, err := b.Alloc(n, kernels.Device); !errors.Is(err, kernels.ErrOutOfMemory) {
			t.Errorf("%d bytes: got %v, want ErrOutOfMemory", n, err)
		}
	}
}
