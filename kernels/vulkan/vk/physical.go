package vk

import (
	"slices"
	"unsafe"
)

// PhysicalDevice is a device that a driver offers.
type PhysicalDevice struct {
	in     *Instance
	handle uintptr
	exts   []string
}

// PhysicalDevices lists the devices in the loader's order.
func (in *Instance) PhysicalDevices() ([]PhysicalDevice, error) {
	hs, err := enumerate(instanceNames[fnEnumeratePhysicalDevices], func(n *uint32, p *uintptr) uintptr {
		return in.call(fnEnumeratePhysicalDevices, in.handle, uintptr(unsafe.Pointer(n)), uintptr(unsafe.Pointer(p)))
	})
	devs := make([]PhysicalDevice, len(hs))
	for i, h := range hs {
		devs[i] = PhysicalDevice{in: in, handle: h}
		if err == nil {
			err = devs[i].list()
		}
	}
	return devs, err
}

// list asks for the names of the device's extensions.
func (p *PhysicalDevice) list() error {
	es, err := enumerate(instanceNames[fnEnumerateDeviceExtensionProperties], func(n *uint32, e *extensionProperties) uintptr {
		return p.in.call(fnEnumerateDeviceExtensionProperties, p.handle, 0,
			uintptr(unsafe.Pointer(n)), uintptr(unsafe.Pointer(e)))
	})
	p.exts = extensionNames(es)
	return err
}

// Properties describe a physical device.
type Properties struct {
	Name       string
	Type       DeviceType
	API        Version
	VendorID   uint32
	DeviceID   uint32
	DriverName string   // as in "llvmpipe", "NVIDIA"
	DriverInfo string   // the driver's own version text
	CacheUUID  [16]byte // what pipeline caches of this driver carry
	DeviceUUID [16]byte
	DriverUUID [16]byte

	DriverVersion uint32

	SubgroupSize       int
	SubgroupArithmetic bool // in compute shaders

	MaxStorageRange   int64 // bytes a descriptor may cover; addresses are not bound by it
	MaxPushConstants  int
	MaxAllocations    int
	MaxAllocationSize int64
	MaxBufferSize     int64 // bytes of one buffer; MaxAllocationSize where the driver does not say
	MaxSharedMemory   int   // bytes per workgroup
	MaxGroups         [3]uint32
	MaxGroupSize      [3]uint32
	MaxInvocations    int
	BufferAlign       int64
	NonCoherentAtom   int64
	Timestamps        bool
	TimestampPeriod   float64 // nanoseconds per tick
}

// Properties asks the driver for the device's properties and limits.
func (p PhysicalDevice) Properties() Properties {
	m4 := &physicalDeviceMaintenance4Properties{sType: typeMaintenance4Properties, maxBufferSize: 1<<64 - 1}
	driver := &physicalDeviceDriverProperties{sType: typeDriverProperties}
	v11 := &physicalDeviceVulkan11Properties{sType: typeVulkan11Properties, pNext: unsafe.Pointer(driver)}
	p2 := &physicalDeviceProperties2{sType: typeProperties2}
	p.in.call(fnGetPhysicalDeviceProperties2, p.handle, uintptr(unsafe.Pointer(p2)))
	// The 1.2 structures may be chained only to a device of 1.2.
	if p2.properties.apiVersion >= apiVersion12 {
		p2.pNext = unsafe.Pointer(v11)
		if slices.Contains(p.exts, "VK_KHR_maintenance4") {
			driver.pNext = unsafe.Pointer(m4)
		}
		p.in.call(fnGetPhysicalDeviceProperties2, p.handle, uintptr(unsafe.Pointer(p2)))
	}
	c, l := &p2.properties, &p2.properties.limits
	return Properties{
		Name:               gostring(c.deviceName[:]),
		Type:               c.deviceType,
		API:                Version(c.apiVersion),
		VendorID:           c.vendorID,
		DeviceID:           c.deviceID,
		DriverName:         gostring(driver.driverName[:]),
		DriverInfo:         gostring(driver.driverInfo[:]),
		CacheUUID:          c.pipelineCacheUUID,
		DeviceUUID:         v11.deviceUUID,
		DriverUUID:         v11.driverUUID,
		DriverVersion:      c.driverVersion,
		SubgroupSize:       int(v11.subgroupSize),
		SubgroupArithmetic: v11.subgroupSupportedStages&stageCompute != 0 && v11.subgroupSupportedOperations&subgroupArithmetic != 0,
		MaxStorageRange:    int64(l.maxStorageBufferRange),
		MaxPushConstants:   int(l.maxPushConstantsSize),
		MaxAllocations:     int(l.maxMemoryAllocationCount),
		MaxAllocationSize:  int64(min(v11.maxMemoryAllocationSize, 1<<62)),
		MaxBufferSize:      int64(min(v11.maxMemoryAllocationSize, m4.maxBufferSize, 1<<62)),
		MaxSharedMemory:    int(l.maxComputeSharedMemorySize),
		MaxGroups:          l.maxComputeWorkGroupCount,
		MaxGroupSize:       l.maxComputeWorkGroupSize,
		MaxInvocations:     int(l.maxComputeWorkGroupInvocations),
		BufferAlign:        int64(l.minStorageBufferOffsetAlignment),
		NonCoherentAtom:    int64(l.nonCoherentAtomSize),
		Timestamps:         l.timestampComputeAndGraphics != 0,
		TimestampPeriod:    float64(l.timestampPeriod),
	}
}

// Features are the optional abilities that compute programs use.
type Features struct {
	StorageBuffer16   bool // 16-bit types in buffers
	StorageBuffer8    bool
	BufferAddress     bool // device addresses of buffers
	TimelineSemaphore bool
	ShaderFloat16     bool // arithmetic
	ShaderInt64       bool
	VulkanMemoryModel bool // at device scope too, which kernels without the model use
	Matrix            MatrixFeatures
}

// Features asks the driver what the device can do. A device older than Vulkan 1.2 has none.
func (p PhysicalDevice) Features() Features {
	if p.Properties().API < apiVersion12 {
		return Features{}
	}
	v12 := &physicalDeviceVulkan12Features{sType: typeVulkan12Features}
	v11 := &physicalDeviceVulkan11Features{sType: typeVulkan11Features, pNext: unsafe.Pointer(v12)}
	f2 := &physicalDeviceFeatures2{sType: typeFeatures2, pNext: unsafe.Pointer(v11)}
	p.in.call(fnGetPhysicalDeviceFeatures2, p.handle, uintptr(unsafe.Pointer(f2)))
	return Features{
		StorageBuffer16:   v11.storageBuffer16BitAccess != 0,
		StorageBuffer8:    v12.storageBuffer8BitAccess != 0,
		BufferAddress:     v12.bufferDeviceAddress != 0,
		TimelineSemaphore: v12.timelineSemaphore != 0,
		ShaderFloat16:     v12.shaderFloat16 != 0,
		ShaderInt64:       f2.features.shaderInt64 != 0,
		VulkanMemoryModel: v12.vulkanMemoryModel != 0 && v12.vulkanMemoryModelDeviceScope != 0,
		Matrix:            p.matrixFeatures(v12),
	}
}

// chain builds the feature structures that enable f.
func (f Features) chain() *physicalDeviceFeatures2 {
	v12 := &physicalDeviceVulkan12Features{
		sType:                        typeVulkan12Features,
		pNext:                        f.Matrix.chain(),
		storageBuffer8BitAccess:      bool32(f.StorageBuffer8),
		shaderFloat16:                bool32(f.ShaderFloat16),
		timelineSemaphore:            bool32(f.TimelineSemaphore),
		bufferDeviceAddress:          bool32(f.BufferAddress),
		vulkanMemoryModel:            bool32(f.VulkanMemoryModel),
		vulkanMemoryModelDeviceScope: bool32(f.VulkanMemoryModel),
	}
	v11 := &physicalDeviceVulkan11Features{
		sType:                    typeVulkan11Features,
		pNext:                    unsafe.Pointer(v12),
		storageBuffer16BitAccess: bool32(f.StorageBuffer16),
	}
	f2 := &physicalDeviceFeatures2{sType: typeFeatures2, pNext: unsafe.Pointer(v11)}
	f2.features.shaderInt64 = bool32(f.ShaderInt64)
	return f2
}

func bool32(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// MemoryType is one kind of memory a device offers.
type MemoryType struct {
	Flags MemoryFlags
	Heap  int
}

// MemoryHeap is a pool that memory types draw from.
type MemoryHeap struct {
	Size        int64 // bytes
	DeviceLocal bool
}

// Memory lists the device's memory types and heaps.
func (p PhysicalDevice) Memory() ([]MemoryType, []MemoryHeap) {
	m := &p.memory(nil).memoryProperties
	types := make([]MemoryType, min(int(m.memoryTypeCount), len(m.memoryTypes)))
	for i := range types {
		types[i] = MemoryType{m.memoryTypes[i].propertyFlags, int(m.memoryTypes[i].heapIndex)}
	}
	heaps := make([]MemoryHeap, min(int(m.memoryHeapCount), len(m.memoryHeaps)))
	for i := range heaps {
		heaps[i] = MemoryHeap{int64(min(m.memoryHeaps[i].size, 1<<62)), m.memoryHeaps[i].flags&heapDeviceLocal != 0}
	}
	return types, heaps
}

// ExtMemoryBudget is the extension that Budget needs.
const ExtMemoryBudget = "VK_EXT_memory_budget"

// Budget is what a process may take of a heap, and has taken, in bytes.
type Budget struct{ Total, Used int64 }

// Budget asks the driver about the heaps that Memory lists, in their order. The device
// must have ExtMemoryBudget.
func (p PhysicalDevice) Budget() []Budget {
	b := &physicalDeviceMemoryBudgetPropertiesEXT{sType: typeMemoryBudgetProperties}
	m := p.memory(unsafe.Pointer(b))
	out := make([]Budget, min(int(m.memoryProperties.memoryHeapCount), len(b.heapBudget)))
	for i := range out {
		out[i] = Budget{int64(min(b.heapBudget[i], 1<<62)), int64(min(b.heapUsage[i], 1<<62))}
	}
	return out
}

func (p PhysicalDevice) memory(next unsafe.Pointer) *physicalDeviceMemoryProperties2 {
	m := &physicalDeviceMemoryProperties2{sType: typeMemoryProperties2, pNext: next}
	p.in.call(fnGetPhysicalDeviceMemoryProperties2, p.handle, uintptr(unsafe.Pointer(m)))
	return m
}

// QueueFamily is a group of equal queues.
type QueueFamily struct {
	Compute       bool
	Graphics      bool
	TimestampBits int
}

// QueueFamilies lists the device's queue families.
func (p PhysicalDevice) QueueFamilies() []QueueFamily {
	fs, _ := enumerate(instanceNames[fnGetPhysicalDeviceQueueFamilyProperties], func(n *uint32, q *queueFamilyProperties) uintptr {
		p.in.call(fnGetPhysicalDeviceQueueFamilyProperties, p.handle, uintptr(unsafe.Pointer(n)), uintptr(unsafe.Pointer(q)))
		return 0 // a void function: whatever the register holds is no result
	})
	out := make([]QueueFamily, len(fs))
	for i, f := range fs {
		out[i] = QueueFamily{f.queueFlags&queueComputeBit != 0, f.queueFlags&1 != 0, int(f.timestampValidBits)}
	}
	return out
}

// Extensions lists the names of the device's extensions.
func (p PhysicalDevice) Extensions() []string { return p.exts }
