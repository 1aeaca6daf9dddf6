package vk

import (
	"runtime"
	"slices"
	"unsafe"
)

// The extensions of cooperative matrices.
const (
	extMatrix   = "VK_KHR_cooperative_matrix"
	extMatrix2  = "VK_NV_cooperative_matrix2"
	extBFloat16 = "VK_KHR_shader_bfloat16"
)

// MatrixFeatures are the abilities that cooperative matrices need. A device has none of
// them without Vulkan 1.3, which brings control over the size of subgroups.
type MatrixFeatures struct {
	Subgroup  bool // matrices of a subgroup, in shaders with the Vulkan memory model and full subgroups of a chosen size
	BFloat16  bool // bfloat16 as a type and in matrices
	Workgroup bool // matrices of a workgroup, with flexible sizes, tensor addressing and per-element functions
}

// Extensions lists what a device has to be opened with for f.
func (f MatrixFeatures) Extensions() (names []string) {
	for _, e := range []struct {
		used bool
		name string
	}{{f.Subgroup, extMatrix}, {f.BFloat16, extBFloat16}, {f.Workgroup, extMatrix2}} {
		if e.used {
			names = append(names, e.name)
		}
	}
	return names
}

// matrixChain holds the feature structures of cooperative matrices and links them.
type matrixChain struct {
	v13 physicalDeviceVulkan13Features
	khr physicalDeviceCooperativeMatrixFeaturesKHR
	bf  physicalDeviceShaderBfloat16FeaturesKHR
	nv  physicalDeviceCooperativeMatrix2FeaturesNV
}

// link chains the structures of the extensions and returns the first.
func (c *matrixChain) link(exts []string) unsafe.Pointer {
	c.v13.sType, c.khr.sType = typeVulkan13Features, typeMatrixFeatures
	c.bf.sType, c.nv.sType = typeBFloat16Features, typeMatrix2Features
	next := &c.v13.pNext
	for _, s := range []struct {
		ext  string
		at   unsafe.Pointer
		next *unsafe.Pointer
	}{
		{extMatrix, unsafe.Pointer(&c.khr), &c.khr.pNext},
		{extBFloat16, unsafe.Pointer(&c.bf), &c.bf.pNext},
		{extMatrix2, unsafe.Pointer(&c.nv), &c.nv.pNext},
	} {
		if slices.Contains(exts, s.ext) {
			*next, next = s.at, s.next
		}
	}
	return unsafe.Pointer(&c.v13)
}

// matrixFeatures asks the driver. v12 are the features of Vulkan 1.2.
func (p PhysicalDevice) matrixFeatures(v12 *physicalDeviceVulkan12Features) (f MatrixFeatures) {
	exts := p.Extensions()
	if p.in.api < apiVersion13 || p.Properties().API < apiVersion13 || !slices.Contains(exts, extMatrix) {
		return f
	}
	c := &matrixChain{}
	f2 := &physicalDeviceFeatures2{sType: typeFeatures2, pNext: c.link(exts)}
	p.in.call(fnGetPhysicalDeviceFeatures2, p.handle, uintptr(unsafe.Pointer(f2)))
	runtime.KeepAlive(c)
	f.Subgroup = c.khr.cooperativeMatrix != 0 && v12.vulkanMemoryModel != 0 && v12.vulkanMemoryModelDeviceScope != 0 && v12.shaderFloat16 != 0 &&
		c.v13.subgroupSizeControl != 0 && c.v13.computeFullSubgroups != 0 && c.v13.maintenance4 != 0
	f.BFloat16 = f.Subgroup && c.bf.shaderBFloat16Type != 0 && c.bf.shaderBFloat16CooperativeMatrix != 0
	f.Workgroup = f.Subgroup && c.nv.cooperativeMatrixWorkgroupScope != 0 && c.nv.cooperativeMatrixFlexibleDimensions != 0 &&
		c.nv.cooperativeMatrixTensorAddressing != 0 && c.nv.cooperativeMatrixPerElementOperations != 0
	return f
}

// chain builds the structures that enable f, nil for none.
func (f MatrixFeatures) chain() unsafe.Pointer {
	if !f.Subgroup {
		return nil
	}
	c := &matrixChain{}
	c.v13.subgroupSizeControl, c.v13.computeFullSubgroups, c.v13.maintenance4 = 1, 1, 1
	c.khr.cooperativeMatrix = 1
	c.bf.shaderBFloat16Type, c.bf.shaderBFloat16CooperativeMatrix = 1, 1
	c.nv.cooperativeMatrixWorkgroupScope, c.nv.cooperativeMatrixFlexibleDimensions = 1, 1
	c.nv.cooperativeMatrixTensorAddressing, c.nv.cooperativeMatrixPerElementOperations = 1, 1
	return c.link(f.Extensions())
}

// SubgroupSizes are the sizes that a pipeline may ask for, powers of two, and how many
// subgroups a workgroup may have. All are 0 without Vulkan 1.3.
type SubgroupSizes struct {
	Min, Max      int
	MostSubgroups int
}

// SubgroupSizes asks the driver which sizes of subgroups compute shaders may require.
func (p PhysicalDevice) SubgroupSizes() SubgroupSizes {
	if p.in.api < apiVersion13 || p.Properties().API < apiVersion13 {
		return SubgroupSizes{}
	}
	v13 := &physicalDeviceVulkan13Properties{sType: typeVulkan13Properties}
	p2 := &physicalDeviceProperties2{sType: typeProperties2, pNext: unsafe.Pointer(v13)}
	p.in.call(fnGetPhysicalDeviceProperties2, p.handle, uintptr(unsafe.Pointer(p2)))
	if v13.requiredSubgroupSizeStages&stageCompute == 0 {
		return SubgroupSizes{}
	}
	return SubgroupSizes{int(v13.minSubgroupSize), int(v13.maxSubgroupSize), int(v13.maxComputeWorkgroupSubgroups)}
}

// ComponentType is a VkComponentTypeKHR: what a matrix is made of.
type ComponentType uint32

// The component types that Graft has kernels for.
const (
	ComponentF16  ComponentType = 0
	ComponentF32  ComponentType = 1
	ComponentBF16 ComponentType = 1000141000
)

// MatrixShape is a product of cooperative matrices that a device does: C (M,N), with sums
// of type Sum, plus A (M,K) times B (K,N). Where Workgroup is set, M, N and K are what
// sizes must be multiples of, and workgroups have Invocations invocations.
type MatrixShape struct {
	M, N, K     int
	A, B, Sum   ComponentType
	Workgroup   bool
	Invocations int
}

// MatrixShapes lists the products of matrices of a subgroup. The device must have
// MatrixFeatures.Subgroup.
func (p PhysicalDevice) MatrixShapes() ([]MatrixShape, error) {
	const name = "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"
	fn, err := p.in.function(name)
	if err != nil {
		return nil, err
	}
	props, err := enumerateTyped(name, func(n *uint32, q *cooperativeMatrixPropertiesKHR) uintptr {
		return call(fn, p.handle, uintptr(unsafe.Pointer(n)), uintptr(unsafe.Pointer(q)))
	}, cooperativeMatrixPropertiesKHR{sType: typeMatrixProperties})
	var out []MatrixShape
	for _, q := range props {
		if q.scope == scopeSubgroup && q.CType == q.ResultType && q.saturatingAccumulation == 0 {
			out = append(out, MatrixShape{M: int(q.MSize), N: int(q.NSize), K: int(q.KSize), A: q.AType, B: q.BType, Sum: q.CType})
		}
	}
	return out, err
}

// WorkgroupMatrixShapes lists the products of matrices of a workgroup, and how many bytes
// of shared memory the driver keeps for itself in shaders with them. The device must have
// MatrixFeatures.Workgroup.
func (p PhysicalDevice) WorkgroupMatrixShapes() (shapes []MatrixShape, most, reserved int, err error) {
	const name = "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV"
	fn, err := p.in.function(name)
	if err != nil {
		return nil, 0, 0, err
	}
	props, err := enumerateTyped(name, func(n *uint32, q *cooperativeMatrixFlexibleDimensionsPropertiesNV) uintptr {
		return call(fn, p.handle, uintptr(unsafe.Pointer(n)), uintptr(unsafe.Pointer(q)))
	}, cooperativeMatrixFlexibleDimensionsPropertiesNV{sType: typeMatrixFlexible})
	for _, q := range props {
		if q.scope == scopeWorkgroup && q.CType == q.ResultType && q.saturatingAccumulation == 0 {
			shapes = append(shapes, MatrixShape{M: int(q.MGranularity), N: int(q.NGranularity), K: int(q.KGranularity),
				A: q.AType, B: q.BType, Sum: q.CType, Workgroup: true, Invocations: int(q.workgroupInvocations)})
		}
	}
	nv := &physicalDeviceCooperativeMatrix2PropertiesNV{sType: typeMatrix2Properties}
	p2 := &physicalDeviceProperties2{sType: typeProperties2, pNext: unsafe.Pointer(nv)}
	p.in.call(fnGetPhysicalDeviceProperties2, p.handle, uintptr(unsafe.Pointer(p2)))
	return shapes, int(nv.cooperativeMatrixFlexibleDimensionsMaxDimension), int(nv.cooperativeMatrixWorkgroupScopeReservedSharedMemory), err
}

// enumerateTyped is enumerate for structures whose type has to be set beforehand: first
// tells what every item starts as.
func enumerateTyped[T any](name string, fn func(*uint32, *T) uintptr, first T) ([]T, error) {
	return enumerate(name, func(n *uint32, items *T) uintptr {
		if items != nil {
			for i := range unsafe.Slice(items, *n) {
				unsafe.Slice(items, *n)[i] = first
			}
		}
		return fn(n, items)
	})
}
