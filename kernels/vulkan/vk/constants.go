package vk

// structureType is a VkStructureType. The values are held to the C headers by layout_test.go.
type structureType uint32

const (
	typeApplicationInfo             structureType = 0
	typeInstanceCreateInfo          structureType = 1
	typeDeviceQueueCreateInfo       structureType = 2
	typeDeviceCreateInfo            structureType = 3
	typeSubmitInfo                  structureType = 4
	typeMemoryAllocateInfo          structureType = 5
	typeSemaphoreCreateInfo         structureType = 9
	typeQueryPoolCreateInfo         structureType = 11
	typeBufferCreateInfo            structureType = 12
	typeShaderModuleCreateInfo      structureType = 16
	typePipelineCacheCreateInfo     structureType = 17
	typePipelineShaderStage         structureType = 18
	typeComputePipelineCreateInfo   structureType = 29
	typePipelineLayoutCreateInfo    structureType = 30
	typeCommandPoolCreateInfo       structureType = 39
	typeCommandBufferAllocateInfo   structureType = 40
	typeCommandBufferBeginInfo      structureType = 42
	typeMemoryBarrier               structureType = 46
	typeVulkan11Features            structureType = 49
	typeVulkan11Properties          structureType = 50
	typeVulkan13Features            structureType = 53
	typeVulkan13Properties          structureType = 54
	typeVulkan12Features            structureType = 51
	typeFeatures2                   structureType = 1000059000
	typeProperties2                 structureType = 1000059001
	typeMemoryAllocateFlagsInfo     structureType = 1000060000
	typeDriverProperties            structureType = 1000196000
	typeSemaphoreTypeCreateInfo     structureType = 1000207002
	typeTimelineSemaphoreSubmitInfo structureType = 1000207003
	typeSemaphoreWaitInfo           structureType = 1000207004
	typeBufferDeviceAddressInfo     structureType = 1000244001
	typeBFloat16Features            structureType = 1000141000
	typeRequiredSubgroupSize        structureType = 1000225001
	typeMatrixFeatures              structureType = 1000506000
	typeMatrixProperties            structureType = 1000506001
	typeMatrix2Features             structureType = 1000593000
	typeMatrixFlexible              structureType = 1000593001
	typeMatrix2Properties           structureType = 1000593002
	typeMemoryProperties2           structureType = 1000059006
	typeMemoryBudgetProperties      structureType = 1000237000
	typeMaintenance4Properties      structureType = 1000413001
)

// DeviceType tells what kind of hardware a physical device is.
type DeviceType uint32

// The device types of Vulkan.
const (
	TypeOther      DeviceType = 0
	TypeIntegrated DeviceType = 1
	TypeDiscrete   DeviceType = 2
	TypeVirtual    DeviceType = 3
	TypeCPU        DeviceType = 4
)

func (t DeviceType) String() string {
	switch t {
	case TypeIntegrated:
		return "integrated"
	case TypeDiscrete:
		return "discrete"
	case TypeVirtual:
		return "virtual"
	case TypeCPU:
		return "software"
	}
	return "other"
}

// MemoryFlags are VkMemoryPropertyFlags.
type MemoryFlags uint32

// The memory properties a compute program asks for.
const (
	MemoryDeviceLocal  MemoryFlags = 1
	MemoryHostVisible  MemoryFlags = 2
	MemoryHostCoherent MemoryFlags = 4
	MemoryHostCached   MemoryFlags = 8
)

// BufferUsage are VkBufferUsageFlags.
type BufferUsage uint32

// The buffer usages a compute program asks for.
const (
	BufferUsageCopySource    BufferUsage = 1
	BufferUsageCopyTarget    BufferUsage = 2
	BufferUsageStorage       BufferUsage = 0x20
	BufferUsageDeviceAddress BufferUsage = 0x20000
)

const (
	apiVersion12 = 1<<22 | 2<<12
	apiVersion13 = 1<<22 | 3<<12

	queueComputeBit = 2
	heapDeviceLocal = 1
	stageCompute    = 0x20 // VkShaderStageFlagBits
	bindCompute     = 1    // VkPipelineBindPoint

	pipelineTop      = 0x1
	pipelineCompute  = 0x800
	pipelineTransfer = 0x1000
	pipelineBottom   = 0x2000
	pipelineHost     = 0x4000

	accessShaderRead    = 0x20
	accessShaderWrite   = 0x40
	accessTransferRead  = 0x800
	accessTransferWrite = 0x1000
	accessHostRead      = 0x2000
	accessHostWrite     = 0x4000

	allocateDeviceAddress        = 2
	semaphoreTimeline            = 1
	queryTimestamp               = 2
	queryResult64                = 1
	queryResultWait              = 2
	instancePortability          = 1
	subgroupArithmetic           = 4
	scopeWorkgroup               = 2
	scopeSubgroup                = 3
	stageFullSubgroups           = 2 // VkPipelineShaderStageCreateFlagBits
	wholeSize             uint64 = 1<<64 - 1
)
