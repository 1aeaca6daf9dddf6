package vk

import (
	"bufio"
	"math/bits"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// layout is the table that testdata/layout.sh made from the C headers.
type layout struct {
	structs map[string]uintptr    // size by C name without Vk
	members map[string][2]uintptr // offset and size by "Struct.member"
	consts  map[string]int64
}

func readLayout(t *testing.T) layout {
	f, err := os.Open("testdata/layout.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l := layout{map[string]uintptr{}, map[string][2]uintptr{}, map[string]int64{}}
	for sc := bufio.NewScanner(f); sc.Scan(); {
		p := strings.Split(sc.Text(), "\t")
		var n [2]int64
		for i := 2; i < len(p); i++ {
			if n[i-2], err = strconv.ParseInt(p[i], 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		switch p[0] {
		case "struct":
			l.structs[p[1]] = uintptr(n[0])
		case "member":
			l.members[p[1]] = [2]uintptr{uintptr(n[0]), uintptr(n[1])}
		case "const":
			l.consts[p[1]] = n[0]
		}
	}
	return l
}

func TestStructLayout(t *testing.T) {
	if bits.UintSize != 64 {
		t.Skip("the binding is for 64-bit machines only")
	}
	want := readLayout(t)
	all := []any{
		applicationInfo{}, instanceCreateInfo{}, layerProperties{}, extensionProperties{},
		physicalDeviceLimits{}, physicalDeviceProperties{}, physicalDeviceProperties2{},
		physicalDeviceVulkan11Properties{}, physicalDeviceDriverProperties{},
		physicalDeviceMaintenance4Properties{}, physicalDeviceMemoryProperties2{},
		physicalDeviceMemoryBudgetPropertiesEXT{},
		physicalDeviceFeatures{}, physicalDeviceFeatures2{}, physicalDeviceVulkan11Features{},
		physicalDeviceVulkan12Features{}, memoryType{}, memoryHeap{},
		physicalDeviceMemoryProperties{}, queueFamilyProperties{}, deviceQueueCreateInfo{},
		deviceCreateInfo{}, bufferCreateInfo{}, memoryRequirements{}, memoryAllocateInfo{},
		memoryAllocateFlagsInfo{}, bufferDeviceAddressInfo{}, shaderModuleCreateInfo{},
		pushConstantRange{}, pipelineLayoutCreateInfo{}, specializationMapEntry{},
		pipelineCacheCreateInfo{}, specializationInfo{}, pipelineShaderStageCreateInfo{}, computePipelineCreateInfo{},
		commandPoolCreateInfo{}, commandBufferAllocateInfo{}, commandBufferBeginInfo{},
		physicalDeviceVulkan13Features{}, physicalDeviceVulkan13Properties{},
		physicalDeviceShaderBfloat16FeaturesKHR{}, physicalDeviceCooperativeMatrixFeaturesKHR{},
		physicalDeviceCooperativeMatrix2FeaturesNV{}, physicalDeviceCooperativeMatrix2PropertiesNV{},
		cooperativeMatrixPropertiesKHR{}, cooperativeMatrixFlexibleDimensionsPropertiesNV{},
		pipelineShaderStageRequiredSubgroupSizeCreateInfo{},
		memoryBarrier{}, bufferCopy{}, semaphoreCreateInfo{}, semaphoreTypeCreateInfo{},
		semaphoreWaitInfo{}, submitInfo{}, timelineSemaphoreSubmitInfo{}, queryPoolCreateInfo{},
	}
	if len(all) != len(want.structs) {
		t.Errorf("%d Go structures, %d in testdata/layout.tsv", len(all), len(want.structs))
	}
	for _, v := range all {
		typ := reflect.TypeOf(v)
		name := strings.ToUpper(typ.Name()[:1]) + typ.Name()[1:]
		size, ok := want.structs[name]
		if !ok {
			t.Errorf("%s is not in testdata/layout.tsv", name)
			continue
		}
		if typ.Size() != size {
			t.Errorf("sizeof %s: got %d, want %d", name, typ.Size(), size)
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Name == "_" {
				continue
			}
			m, ok := want.members[name+"."+f.Name]
			if !ok {
				t.Errorf("%s has no member %s", name, f.Name)
				continue
			}
			if got := [2]uintptr{f.Offset, f.Type.Size()}; got != m {
				t.Errorf("%s.%s: got offset and size %v, want %v", name, f.Name, got, m)
			}
		}
	}
}

func TestConstants(t *testing.T) {
	want := readLayout(t).consts
	got := map[string]int64{
		"VK_STRUCTURE_TYPE_APPLICATION_INFO":                                         int64(typeApplicationInfo),
		"VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO":                                     int64(typeInstanceCreateInfo),
		"VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO":                                 int64(typeDeviceQueueCreateInfo),
		"VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO":                                       int64(typeDeviceCreateInfo),
		"VK_STRUCTURE_TYPE_SUBMIT_INFO":                                              int64(typeSubmitInfo),
		"VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO":                                     int64(typeMemoryAllocateInfo),
		"VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO":                                    int64(typeSemaphoreCreateInfo),
		"VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO":                                   int64(typeQueryPoolCreateInfo),
		"VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO":                                       int64(typeBufferCreateInfo),
		"VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO":                                int64(typeShaderModuleCreateInfo),
		"VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO":                        int64(typePipelineShaderStage),
		"VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO":                             int64(typeComputePipelineCreateInfo),
		"VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO":                               int64(typePipelineCacheCreateInfo),
		"VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO":                              int64(typePipelineLayoutCreateInfo),
		"VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO":                                 int64(typeCommandPoolCreateInfo),
		"VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO":                             int64(typeCommandBufferAllocateInfo),
		"VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO":                                int64(typeCommandBufferBeginInfo),
		"VK_STRUCTURE_TYPE_MEMORY_BARRIER":                                           int64(typeMemoryBarrier),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES":                      int64(typeVulkan11Features),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES":                    int64(typeVulkan11Properties),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES":                      int64(typeVulkan12Features),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2":                               int64(typeFeatures2),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2":                             int64(typeProperties2),
		"VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO":                               int64(typeMemoryAllocateFlagsInfo),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES":                        int64(typeDriverProperties),
		"VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO":                               int64(typeSemaphoreTypeCreateInfo),
		"VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO":                           int64(typeTimelineSemaphoreSubmitInfo),
		"VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO":                                      int64(typeSemaphoreWaitInfo),
		"VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO":                               int64(typeBufferDeviceAddressInfo),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES":                      int64(typeVulkan13Features),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES":                    int64(typeVulkan13Properties),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR":             int64(typeBFloat16Features),
		"VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO": int64(typeRequiredSubgroupSize),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR":          int64(typeMatrixFeatures),
		"VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR":                        int64(typeMatrixProperties),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV":         int64(typeMatrix2Features),
		"VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_FLEXIBLE_DIMENSIONS_PROPERTIES_NV":     int64(typeMatrixFlexible),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_PROPERTIES_NV":       int64(typeMatrix2Properties),
		"VK_API_VERSION_1_3":                                                         int64(apiVersion13),
		"VK_SCOPE_WORKGROUP_KHR":                                                     int64(scopeWorkgroup),
		"VK_SCOPE_SUBGROUP_KHR":                                                      int64(scopeSubgroup),
		"VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT":                 int64(stageFullSubgroups),
		"VK_COMPONENT_TYPE_FLOAT16_KHR":                                              int64(ComponentF16),
		"VK_COMPONENT_TYPE_FLOAT32_KHR":                                              int64(ComponentF32),
		"VK_COMPONENT_TYPE_BFLOAT16_KHR":                                             int64(ComponentBF16),
		"VK_PHYSICAL_DEVICE_TYPE_OTHER":                                              int64(TypeOther),
		"VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU":                                     int64(TypeIntegrated),
		"VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU":                                       int64(TypeDiscrete),
		"VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU":                                        int64(TypeVirtual),
		"VK_PHYSICAL_DEVICE_TYPE_CPU":                                                int64(TypeCPU),
		"VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT":                                        int64(MemoryDeviceLocal),
		"VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT":                                        int64(MemoryHostVisible),
		"VK_MEMORY_PROPERTY_HOST_COHERENT_BIT":                                       int64(MemoryHostCoherent),
		"VK_MEMORY_PROPERTY_HOST_CACHED_BIT":                                         int64(MemoryHostCached),
		"VK_BUFFER_USAGE_TRANSFER_SRC_BIT":                                           int64(BufferUsageCopySource),
		"VK_BUFFER_USAGE_TRANSFER_DST_BIT":                                           int64(BufferUsageCopyTarget),
		"VK_BUFFER_USAGE_STORAGE_BUFFER_BIT":                                         int64(BufferUsageStorage),
		"VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT":                                  int64(BufferUsageDeviceAddress),
		"VK_API_VERSION_1_2":                                                         apiVersion12,
		"VK_QUEUE_COMPUTE_BIT":                                                       queueComputeBit,
		"VK_MEMORY_HEAP_DEVICE_LOCAL_BIT":                                            heapDeviceLocal,
		"VK_SHADER_STAGE_COMPUTE_BIT":                                                stageCompute,
		"VK_PIPELINE_BIND_POINT_COMPUTE":                                             bindCompute,
		"VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT":                                          pipelineTop,
		"VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT":                                       pipelineCompute,
		"VK_PIPELINE_STAGE_TRANSFER_BIT":                                             pipelineTransfer,
		"VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT":                                       pipelineBottom,
		"VK_PIPELINE_STAGE_HOST_BIT":                                                 pipelineHost,
		"VK_ACCESS_SHADER_READ_BIT":                                                  accessShaderRead,
		"VK_ACCESS_SHADER_WRITE_BIT":                                                 accessShaderWrite,
		"VK_ACCESS_TRANSFER_READ_BIT":                                                accessTransferRead,
		"VK_ACCESS_TRANSFER_WRITE_BIT":                                               accessTransferWrite,
		"VK_ACCESS_HOST_READ_BIT":                                                    accessHostRead,
		"VK_ACCESS_HOST_WRITE_BIT":                                                   accessHostWrite,
		"VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT":                                      allocateDeviceAddress,
		"VK_SEMAPHORE_TYPE_TIMELINE":                                                 semaphoreTimeline,
		"VK_QUERY_TYPE_TIMESTAMP":                                                    queryTimestamp,
		"VK_QUERY_RESULT_64_BIT":                                                     queryResult64,
		"VK_QUERY_RESULT_WAIT_BIT":                                                   queryResultWait,
		"VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR":                           instancePortability,
		"VK_SUBGROUP_FEATURE_ARITHMETIC_BIT":                                         subgroupArithmetic,
		"VK_WHOLE_SIZE":                                                              -1,

		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES":     int64(typeMaintenance4Properties),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2":          int64(typeMemoryProperties2),
		"VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT": int64(typeMemoryBudgetProperties),
	}
	for r, name := range resultNames {
		got[name] = int64(r)
	}
	for name, v := range got {
		w, ok := want[name]
		if !ok {
			t.Errorf("%s is not in testdata/layout.tsv", name)
		} else if v != w {
			t.Errorf("%s: got %d, want %d", name, v, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d constants compared, %d in testdata/layout.tsv", len(got), len(want))
	}
}
