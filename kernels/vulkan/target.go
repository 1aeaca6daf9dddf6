package vulkan

import (
	"fmt"
	"hash/fnv"

	"graft/kernels/vulkan/vk"
)

// target is all that the choice of kernels may depend on beside a program: what a device
// allows and what class it is of. Equal targets give equal plans.
type target struct {
	sharedMemory int            // bytes that a workgroup may have
	invocations  int            // of a workgroup
	units        int            // workgroups that it takes to keep the device busy
	product      *choice        // nil: the table chooses
	attention    *attentionTile // nil: the table chooses
	matrix       matrixPaths
}

func (b *Backend) target() target {
	return target{
		sharedMemory: b.props.MaxSharedMemory,
		invocations:  min(b.props.MaxInvocations, int(b.props.MaxGroupSize[0])),
		units:        b.units,
		product:      b.product,
		attention:    b.attention,
		matrix:       b.matrix,
	}
}

// fingerprint names what the choice of kernels depends on beside shapes: another choice may
// give other bits.
func (t target) fingerprint() string {
	h := fnv.New32a()
	fmt.Fprint(h, t.sharedMemory, t.invocations, t.units, matmulRevision, matmulTiles, subgroupTiles, workgroupTiles)
	return fmt.Sprintf("%08x", h.Sum32()) + t.matrix.fingerprint()
}

// unitsOf goes by the class of device, since Vulkan does not tell how many cores one has.
func unitsOf(class vk.DeviceType) int {
	switch class {
	case vk.TypeDiscrete:
		return 96
	case vk.TypeVirtual:
		return 64
	case vk.TypeCPU:
		return 4
	}
	return 16
}
