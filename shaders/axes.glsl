// Coordinates on up to five axes, outermost first; needs vector.glsl.

// The axes but the outermost one, and what the host made of their sizes for quotient.
struct Axes {
	int size[4];
	uint magic[4];
	uint shifts; // five bits each
};

// The coordinates of element i of axes of which the last `used` may be larger than 1.
void coordinates(Axes axes, int used, int i, out int at[5]) {
	for (int k = 4; k > 0; k--) {
		at[k] = 0;
		if (k > 5 - used) {
			int q = quotient(i, axes.magic[k - 1], axes.shifts >> 5 * (k - 1) & 31u);
			at[k] = i - q * axes.size[k - 1];
			i = q;
		} else if (k == 5 - used) {
			at[k] = i;
			i = 0;
		}
	}
	at[0] = i;
}

// The element at coordinates.
int element(int at[5], int stride[5]) {
	return at[0] * stride[0] + at[1] * stride[1] + at[2] * stride[2] + at[3] * stride[3] + at[4] * stride[4];
}
