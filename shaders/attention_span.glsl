// What a query sees.

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Ints { int v[]; };

// Keys low <= j < high of `keys` that the query in row `row` of its sequence sees. i is
// its index in documents; a window of 0 is none.
void span(uvec2 documents, int i, int row, int keys, int window, out int low, out int high) {
	low = max(0, Ints(documents).v[i]);
	if (window > 0) low = max(low, row - window + 1);
	high = max(low, min(row, keys - 1) + 1); // row + 1 might overflow
}
