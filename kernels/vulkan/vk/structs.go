package vk

import "unsafe"

// The C structures, field by field. Blank fields pad over members that compute does
// not need; layout_test.go holds every offset and size to the C headers.
type (
	applicationInfo struct {
		sType              structureType
		pNext              unsafe.Pointer
		pApplicationName   *byte
		applicationVersion uint32
		pEngineName        *byte
		engineVersion      uint32
		apiVersion         uint32
	}
	instanceCreateInfo struct {
		sType                   structureType
		pNext                   unsafe.Pointer
		flags                   uint32
		pApplicationInfo        *applicationInfo
		enabledLayerCount       uint32
		ppEnabledLayerNames     **byte
		enabledExtensionCount   uint32
		ppEnabledExtensionNames **byte
	}
	layerProperties struct {
		layerName             [256]byte
		specVersion           uint32
		implementationVersion uint32
		description           [256]byte
	}
	extensionProperties struct {
		extensionName [256]byte
		specVersion   uint32
	}
	physicalDeviceLimits struct {
		_                                [28]byte
		maxStorageBufferRange            uint32
		maxPushConstantsSize             uint32
		maxMemoryAllocationCount         uint32
		_                                [176]byte
		maxComputeSharedMemorySize       uint32
		maxComputeWorkGroupCount         [3]uint32
		maxComputeWorkGroupInvocations   uint32
		maxComputeWorkGroupSize          [3]uint32
		_                                [56]byte
		minMemoryMapAlignment            uintptr
		_                                [16]byte
		minStorageBufferOffsetAlignment  uint64
		_                                [84]byte
		timestampComputeAndGraphics      uint32
		timestampPeriod                  float32
		_                                [48]byte
		optimalBufferCopyOffsetAlignment uint64
		_                                [8]byte
		nonCoherentAtomSize              uint64
	}
	physicalDeviceProperties struct {
		apiVersion        uint32
		driverVersion     uint32
		vendorID          uint32
		deviceID          uint32
		deviceType        DeviceType
		deviceName        [256]byte
		pipelineCacheUUID [16]byte
		limits            physicalDeviceLimits
		_                 [20]byte
	}
	physicalDeviceProperties2 struct {
		sType      structureType
		pNext      unsafe.Pointer
		properties physicalDeviceProperties
	}
	physicalDeviceVulkan11Properties struct {
		sType                       structureType
		pNext                       unsafe.Pointer
		deviceUUID                  [16]byte
		driverUUID                  [16]byte
		_                           [16]byte
		subgroupSize                uint32
		subgroupSupportedStages     uint32
		subgroupSupportedOperations uint32
		_                           [24]byte
		maxMemoryAllocationSize     uint64
	}
	physicalDeviceDriverProperties struct {
		sType              structureType
		pNext              unsafe.Pointer
		driverID           uint32
		driverName         [256]byte
		driverInfo         [256]byte
		conformanceVersion [4]byte
	}
	physicalDeviceMaintenance4Properties struct {
		sType         structureType
		pNext         unsafe.Pointer
		maxBufferSize uint64
	}
	physicalDeviceFeatures struct {
		_             [39]uint32
		shaderFloat64 uint32
		shaderInt64   uint32
		shaderInt16   uint32
		_             [13]uint32
	}
	physicalDeviceFeatures2 struct {
		sType    structureType
		pNext    unsafe.Pointer
		features physicalDeviceFeatures
	}
	physicalDeviceVulkan11Features struct {
		sType                    structureType
		pNext                    unsafe.Pointer
		storageBuffer16BitAccess uint32
		_                        [11]uint32
	}
	physicalDeviceVulkan12Features struct {
		sType                        structureType
		pNext                        unsafe.Pointer
		_                            [2]uint32
		storageBuffer8BitAccess      uint32
		_                            [4]uint32
		shaderFloat16                uint32
		shaderInt8                   uint32
		_                            [27]uint32
		hostQueryReset               uint32
		timelineSemaphore            uint32
		bufferDeviceAddress          uint32
		_                            [2]uint32
		vulkanMemoryModel            uint32
		vulkanMemoryModelDeviceScope uint32
		_                            [4]uint32
	}
	physicalDeviceVulkan13Features struct {
		sType                structureType
		pNext                unsafe.Pointer
		_                    [7]uint32
		subgroupSizeControl  uint32
		computeFullSubgroups uint32
		_                    [5]uint32
		maintenance4         uint32
	}
	physicalDeviceVulkan13Properties struct {
		sType                        structureType
		pNext                        unsafe.Pointer
		minSubgroupSize              uint32
		maxSubgroupSize              uint32
		maxComputeWorkgroupSubgroups uint32
		requiredSubgroupSizeStages   uint32
		_                            [184]byte
	}
	physicalDeviceShaderBfloat16FeaturesKHR struct {
		sType                           structureType
		pNext                           unsafe.Pointer
		shaderBFloat16Type              uint32
		shaderBFloat16DotProduct        uint32
		shaderBFloat16CooperativeMatrix uint32
	}
	physicalDeviceCooperativeMatrixFeaturesKHR struct {
		sType                               structureType
		pNext                               unsafe.Pointer
		cooperativeMatrix                   uint32
		cooperativeMatrixRobustBufferAccess uint32
	}
	physicalDeviceCooperativeMatrix2FeaturesNV struct {
		sType                                 structureType
		pNext                                 unsafe.Pointer
		cooperativeMatrixWorkgroupScope       uint32
		cooperativeMatrixFlexibleDimensions   uint32
		cooperativeMatrixReductions           uint32
		cooperativeMatrixConversions          uint32
		cooperativeMatrixPerElementOperations uint32
		cooperativeMatrixTensorAddressing     uint32
		cooperativeMatrixBlockLoads           uint32
	}
	physicalDeviceCooperativeMatrix2PropertiesNV struct {
		sType                                               structureType
		pNext                                               unsafe.Pointer
		cooperativeMatrixWorkgroupScopeMaxWorkgroupSize     uint32
		cooperativeMatrixFlexibleDimensionsMaxDimension     uint32
		cooperativeMatrixWorkgroupScopeReservedSharedMemory uint32
	}
	cooperativeMatrixPropertiesKHR struct {
		sType                  structureType
		pNext                  unsafe.Pointer
		MSize                  uint32
		NSize                  uint32
		KSize                  uint32
		AType                  ComponentType
		BType                  ComponentType
		CType                  ComponentType
		ResultType             ComponentType
		saturatingAccumulation uint32
		scope                  uint32
	}
	cooperativeMatrixFlexibleDimensionsPropertiesNV struct {
		sType                  structureType
		pNext                  unsafe.Pointer
		MGranularity           uint32
		NGranularity           uint32
		KGranularity           uint32
		AType                  ComponentType
		BType                  ComponentType
		CType                  ComponentType
		ResultType             ComponentType
		saturatingAccumulation uint32
		scope                  uint32
		workgroupInvocations   uint32
	}
	memoryType struct {
		propertyFlags MemoryFlags
		heapIndex     uint32
	}
	memoryHeap struct {
		size  uint64
		flags uint32
		_     uint32
	}
	physicalDeviceMemoryProperties struct {
		memoryTypeCount uint32
		memoryTypes     [32]memoryType
		memoryHeapCount uint32
		memoryHeaps     [16]memoryHeap
	}
	physicalDeviceMemoryProperties2 struct {
		sType            structureType
		pNext            unsafe.Pointer
		memoryProperties physicalDeviceMemoryProperties
	}
	physicalDeviceMemoryBudgetPropertiesEXT struct {
		sType      structureType
		pNext      unsafe.Pointer
		heapBudget [16]uint64
		heapUsage  [16]uint64
	}
	queueFamilyProperties struct {
		queueFlags                  uint32
		queueCount                  uint32
		timestampValidBits          uint32
		minImageTransferGranularity [3]uint32
	}
	deviceQueueCreateInfo struct {
		sType            structureType
		pNext            unsafe.Pointer
		flags            uint32
		queueFamilyIndex uint32
		queueCount       uint32
		pQueuePriorities *float32
	}
	deviceCreateInfo struct {
		sType                   structureType
		pNext                   unsafe.Pointer
		flags                   uint32
		queueCreateInfoCount    uint32
		pQueueCreateInfos       *deviceQueueCreateInfo
		enabledLayerCount       uint32
		ppEnabledLayerNames     **byte
		enabledExtensionCount   uint32
		ppEnabledExtensionNames **byte
		pEnabledFeatures        *physicalDeviceFeatures
	}
	bufferCreateInfo struct {
		sType                 structureType
		pNext                 unsafe.Pointer
		flags                 uint32
		size                  uint64
		usage                 BufferUsage
		sharingMode           uint32
		queueFamilyIndexCount uint32
		pQueueFamilyIndices   *uint32
	}
	memoryRequirements struct {
		size           uint64
		alignment      uint64
		memoryTypeBits uint32
		_              uint32
	}
	memoryAllocateInfo struct {
		sType           structureType
		pNext           unsafe.Pointer
		allocationSize  uint64
		memoryTypeIndex uint32
		_               uint32
	}
	memoryAllocateFlagsInfo struct {
		sType      structureType
		pNext      unsafe.Pointer
		flags      uint32
		deviceMask uint32
	}
	bufferDeviceAddressInfo struct {
		sType  structureType
		pNext  unsafe.Pointer
		buffer uintptr
	}
	shaderModuleCreateInfo struct {
		sType    structureType
		pNext    unsafe.Pointer
		flags    uint32
		codeSize uintptr
		pCode    *uint32
	}
	pipelineCacheCreateInfo struct {
		sType           structureType
		pNext           unsafe.Pointer
		flags           uint32
		initialDataSize uintptr
		pInitialData    unsafe.Pointer
	}
	pushConstantRange struct {
		stageFlags uint32
		offset     uint32
		size       uint32
	}
	pipelineLayoutCreateInfo struct {
		sType                  structureType
		pNext                  unsafe.Pointer
		flags                  uint32
		setLayoutCount         uint32
		pSetLayouts            *uintptr
		pushConstantRangeCount uint32
		pPushConstantRanges    *pushConstantRange
	}
	specializationMapEntry struct {
		constantID uint32
		offset     uint32
		size       uintptr
	}
	specializationInfo struct {
		mapEntryCount uint32
		pMapEntries   *specializationMapEntry
		dataSize      uintptr
		pData         unsafe.Pointer
	}
	pipelineShaderStageCreateInfo struct {
		sType               structureType
		pNext               unsafe.Pointer
		flags               uint32
		stage               uint32
		module              uintptr
		pName               *byte
		pSpecializationInfo *specializationInfo
	}
	pipelineShaderStageRequiredSubgroupSizeCreateInfo struct {
		sType                structureType
		pNext                unsafe.Pointer
		requiredSubgroupSize uint32
	}
	computePipelineCreateInfo struct {
		sType              structureType
		pNext              unsafe.Pointer
		flags              uint32
		stage              pipelineShaderStageCreateInfo
		layout             uintptr
		basePipelineHandle uintptr
		basePipelineIndex  int32
	}
	commandPoolCreateInfo struct {
		sType            structureType
		pNext            unsafe.Pointer
		flags            uint32
		queueFamilyIndex uint32
	}
	commandBufferAllocateInfo struct {
		sType              structureType
		pNext              unsafe.Pointer
		commandPool        uintptr
		level              uint32
		commandBufferCount uint32
	}
	commandBufferBeginInfo struct {
		sType            structureType
		pNext            unsafe.Pointer
		flags            uint32
		pInheritanceInfo unsafe.Pointer
	}
	memoryBarrier struct {
		sType         structureType
		pNext         unsafe.Pointer
		srcAccessMask uint32
		dstAccessMask uint32
	}
	bufferCopy struct {
		srcOffset uint64
		dstOffset uint64
		size      uint64
	}
	semaphoreCreateInfo struct {
		sType structureType
		pNext unsafe.Pointer
		flags uint32
	}
	semaphoreTypeCreateInfo struct {
		sType         structureType
		pNext         unsafe.Pointer
		semaphoreType uint32
		initialValue  uint64
	}
	semaphoreWaitInfo struct {
		sType          structureType
		pNext          unsafe.Pointer
		flags          uint32
		semaphoreCount uint32
		pSemaphores    *uintptr
		pValues        *uint64
	}
	submitInfo struct {
		sType                structureType
		pNext                unsafe.Pointer
		waitSemaphoreCount   uint32
		pWaitSemaphores      *uintptr
		pWaitDstStageMask    *uint32
		commandBufferCount   uint32
		pCommandBuffers      *uintptr
		signalSemaphoreCount uint32
		pSignalSemaphores    *uintptr
	}
	timelineSemaphoreSubmitInfo struct {
		sType                     structureType
		pNext                     unsafe.Pointer
		waitSemaphoreValueCount   uint32
		pWaitSemaphoreValues      *uint64
		signalSemaphoreValueCount uint32
		pSignalSemaphoreValues    *uint64
	}
	queryPoolCreateInfo struct {
		sType              structureType
		pNext              unsafe.Pointer
		flags              uint32
		queryType          uint32
		queryCount         uint32
		pipelineStatistics uint32
	}
)
