package vulkan

import (
	"fmt"
	"slices"

	"graft/kernels/vulkan/vk"
)

// traits are what a driver says of a device.
type traits struct {
	props    vk.Properties
	features vk.Features
	queues   []vk.QueueFamily
	types    []vk.MemoryType
	heaps    []vk.MemoryHeap
	exts     []string
}

func traitsOf(d vk.PhysicalDevice) traits {
	t := traits{props: d.Properties(), features: d.Features(), queues: d.QueueFamilies(), exts: d.Extensions()}
	t.types, t.heaps = d.Memory()
	return t
}

// ability is something that a device has or lacks.
type ability struct {
	has  bool
	name string
}

// minShared and minInvocations are what every kernel may use. Vulkan guarantees 16 KiB and
// 128, but no driver that passes the rest of the list has as little.
const (
	minShared      = 32 << 10
	minInvocations = 256
)

// requirements is all that the backend cannot do without.
func requirements(t traits) []ability {
	p, f := t.props, t.features
	if p.API.Major() < 1 || p.API.Major() == 1 && p.API.Minor() < 2 {
		// The rest cannot even be asked for.
		return []ability{{false, fmt.Sprintf("Vulkan 1.2 (the driver has %v)", p.API)}}
	}
	const host = vk.MemoryHostVisible | vk.MemoryHostCoherent
	memory := func(want vk.MemoryFlags) bool {
		return slices.ContainsFunc(t.types, func(m vk.MemoryType) bool { return m.Flags&want == want })
	}
	return []ability{
		{f.BufferAddress, "bufferDeviceAddress"},
		{f.StorageBuffer16, "storageBuffer16BitAccess"},
		{f.TimelineSemaphore, "timelineSemaphore"},
		{computeFamily(t.queues) >= 0, "a compute queue"},
		{memory(vk.MemoryDeviceLocal), "device-local memory"},
		{memory(host), "memory that the CPU can see"},
		{p.MaxAllocationSize >= 1<<30 && p.MaxBufferSize >= 1<<30, "buffers of 1 GiB"},
		{p.MaxPushConstants >= pushBytes, fmt.Sprintf("%d bytes of push constants", pushBytes)},
		{p.MaxSharedMemory >= minShared, fmt.Sprintf("%d KiB of shared memory", minShared>>10)},
		{p.MaxInvocations >= minInvocations && p.MaxGroupSize[0] >= minInvocations,
			fmt.Sprintf("%d invocations in a workgroup", minInvocations)},
		{min(p.MaxGroups[0], p.MaxGroups[1], p.MaxGroups[2]) >= maxGroups, fmt.Sprintf("%d workgroups", maxGroups)},
	}
}

// optional is what kernels or the backend use where it is there.
func optional(t traits) []ability {
	ext := func(name string) bool { return slices.Contains(t.exts, name) }
	return []ability{
		{t.features.StorageBuffer8, "8-bit storage"},
		{t.features.ShaderFloat16, "f16 arithmetic"},
		{t.features.ShaderInt64, "64-bit integers"},
		{t.props.SubgroupArithmetic, fmt.Sprintf("sums over subgroups of %d", t.props.SubgroupSize)},
		{t.ticks() > 0, "timestamps"},
		{ext(vk.ExtMemoryBudget), "memory budget"},
		{ext("VK_KHR_maintenance4"), "maintenance4"},
		{ext("VK_KHR_cooperative_matrix"), "cooperative matrices"},
		{ext("VK_NV_cooperative_matrix2"), "cooperative matrices of workgroups"},
	}
}

// unified reports whether the CPU sees all memory of the device at full speed.
func (t traits) unified() bool {
	const want = vk.MemoryDeviceLocal | vk.MemoryHostVisible | vk.MemoryHostCoherent
	if t.props.Type != vk.TypeIntegrated && t.props.Type != vk.TypeCPU {
		return false
	}
	most := localMemory(t.heaps)
	return slices.ContainsFunc(t.types, func(m vk.MemoryType) bool { return m.Flags&want == want && t.heaps[m.Heap].Size == most })
}

// ticks is the number of valid bits of timestamps; 0 is none.
func (t traits) ticks() int {
	if i := computeFamily(t.queues); i >= 0 {
		return t.queues[i].TimestampBits
	}
	return 0
}

func lacks(all []ability) []string { return names(all, false) }
func has(all []ability) []string   { return names(all, true) }

func names(all []ability, present bool) (out []string) {
	for _, a := range all {
		if a.has == present {
			out = append(out, a.name)
		}
	}
	return out
}

// computeFamily returns the first queue family that computes, -1 for none.
func computeFamily(queues []vk.QueueFamily) int {
	return slices.IndexFunc(queues, func(q vk.QueueFamily) bool { return q.Compute })
}
