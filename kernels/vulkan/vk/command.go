package vk

import "unsafe"

// CommandPool is what command buffers are allocated from.
type CommandPool uintptr

// CreateCommandPool creates a pool for the device's queue.
func (d *Device) CreateCommandPool() (CommandPool, error) {
	h, err := d.create(fnCreateCommandPool, unsafe.Pointer(&commandPoolCreateInfo{
		sType: typeCommandPoolCreateInfo, queueFamilyIndex: d.family}))
	return CommandPool(h), err
}

// DestroyCommandPool destroys p and its command buffers.
func (d *Device) DestroyCommandPool(p CommandPool) { d.destroy(fnDestroyCommandPool, uintptr(p)) }

// CommandBuffer is a recording of commands that can be submitted any number of times.
type CommandBuffer struct {
	d      *Device
	handle uintptr
}

// BeginCommands allocates a command buffer of p and starts recording.
func (d *Device) BeginCommands(p CommandPool) (*CommandBuffer, error) {
	c := &CommandBuffer{d: d}
	r := d.call(fnAllocateCommandBuffers, d.handle, uintptr(unsafe.Pointer(&commandBufferAllocateInfo{
		sType: typeCommandBufferAllocateInfo, commandPool: uintptr(p), commandBufferCount: 1})),
		uintptr(unsafe.Pointer(&c.handle)))
	if err := check("vkAllocateCommandBuffers", r); err != nil {
		return nil, err
	}
	r = d.call(fnBeginCommandBuffer, c.handle, uintptr(unsafe.Pointer(&commandBufferBeginInfo{
		sType: typeCommandBufferBeginInfo})))
	return c, check("vkBeginCommandBuffer", r)
}

// End finishes the recording.
func (c *CommandBuffer) End() error {
	return check("vkEndCommandBuffer", c.d.call(fnEndCommandBuffer, c.handle))
}

// Bind makes later dispatches run p.
func (c *CommandBuffer) Bind(p Pipeline) {
	c.d.call(fnCmdBindPipeline, c.handle, bindCompute, uintptr(p))
}

// Push sets the push constants from offset zero.
func (c *CommandBuffer) Push(l PipelineLayout, data []byte) {
	c.d.call(fnCmdPushConstants, c.handle, uintptr(l), stageCompute, 0, uintptr(len(data)),
		uintptr(unsafe.Pointer(unsafe.SliceData(data))))
}

// Dispatch runs x*y*z workgroups.
func (c *CommandBuffer) Dispatch(x, y, z uint32) {
	c.d.call(fnCmdDispatch, c.handle, uintptr(x), uintptr(y), uintptr(z))
}

// Barrier makes everything before it, by shaders and copies, visible to everything after.
func (c *CommandBuffer) Barrier() {
	const stages = pipelineCompute | pipelineTransfer
	const access = accessShaderRead | accessShaderWrite | accessTransferRead | accessTransferWrite
	c.barrier(stages, stages, accessShaderWrite|accessTransferWrite, access)
}

// HostBarrier makes everything before it visible to the host, once the submission is done.
func (c *CommandBuffer) HostBarrier() {
	c.barrier(pipelineCompute|pipelineTransfer, pipelineHost, accessShaderWrite|accessTransferWrite, accessHostRead)
}

func (c *CommandBuffer) barrier(srcStage, dstStage uintptr, src, dst uint32) {
	c.d.call(fnCmdPipelineBarrier, c.handle, srcStage, dstStage, 0,
		1, uintptr(unsafe.Pointer(&memoryBarrier{sType: typeMemoryBarrier, srcAccessMask: src, dstAccessMask: dst})),
		0, 0, 0, 0)
}

// Copy copies size bytes between two buffers.
func (c *CommandBuffer) Copy(dst Buffer, dstOffset int64, src Buffer, srcOffset, size int64) {
	c.d.call(fnCmdCopyBuffer, c.handle, uintptr(src), uintptr(dst), 1, uintptr(unsafe.Pointer(&bufferCopy{
		srcOffset: uint64(srcOffset), dstOffset: uint64(dstOffset), size: uint64(size)})))
}

// Fill sets size bytes at offset, both multiples of four, to copies of word.
func (c *CommandBuffer) Fill(dst Buffer, offset, size int64, word uint32) {
	c.d.call(fnCmdFillBuffer, c.handle, uintptr(dst), uintptr(offset), uintptr(size), uintptr(word))
}

// Queries is a pool of timestamps.
type Queries struct {
	d      *Device
	handle uintptr
	n      int
}

// CreateQueries creates n timestamps.
func (d *Device) CreateQueries(n int) (*Queries, error) {
	h, err := d.create(fnCreateQueryPool, unsafe.Pointer(&queryPoolCreateInfo{
		sType: typeQueryPoolCreateInfo, queryType: queryTimestamp, queryCount: uint32(n)}))
	return &Queries{d, h, n}, err
}

// Destroy destroys the pool.
func (q *Queries) Destroy() { q.d.destroy(fnDestroyQueryPool, q.handle) }

// ResetQueries clears all timestamps of q; it comes first in a recording that uses them.
func (c *CommandBuffer) ResetQueries(q *Queries) {
	c.d.call(fnCmdResetQueryPool, c.handle, q.handle, 0, uintptr(q.n))
}

// Timestamp writes timestamp i when all commands before it have finished.
func (c *CommandBuffer) Timestamp(q *Queries, i int) {
	c.d.call(fnCmdWriteTimestamp, c.handle, pipelineBottom, q.handle, uintptr(i))
}

// Results returns the timestamps, in ticks, after the submission that wrote them is done.
func (q *Queries) Results() ([]uint64, error) {
	out := make([]uint64, q.n)
	r := q.d.call(fnGetQueryPoolResults, q.d.handle, q.handle, 0, uintptr(q.n), uintptr(8*q.n),
		uintptr(unsafe.Pointer(unsafe.SliceData(out))), 8, queryResult64|queryResultWait)
	return out, check("vkGetQueryPoolResults", r)
}
