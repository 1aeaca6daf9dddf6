// Activations of gated linear units and their slopes; needs math.glsl.

// SiLU: y = x s, slope = s (1 + x (1 - s)) with s = sigmoid(x). GELU by tanh:
// y = x h, slope = h + x/2 (1 - t^2) u' with t = tanh(u), u = sqrt(2/pi) (x + 0.044715 x^3), h = (1 + t) / 2.
void activation(int act, float x, out float y, out float slope) {
	if (act == 0) {
		float s = sigmoidf(x), rest = sigmoidf(-x); // 1 - s would cancel
		y = x * s;
		slope = s * (1.0 + x * rest);
		return;
	}
	// From 12 on h is 0 or 1 in f32, and a cube may overflow.
	float c = isNaN(x) ? x : clamp(x, -12.0, 12.0), c2 = c * c;
	float u = 0.797884561 * c * (1.0 + 0.044715 * c2);
	// h = sigmoid(2u) and 1 - t^2 = 4 h (1 - h): nothing cancels where t is near -1.
	float h = sigmoidf(2.0 * u), rest = sigmoidf(-2.0 * u);
	y = x * h;
	slope = h + 2.0 * x * (h * rest) * (0.797884561 * (1.0 + 0.134145 * c2));
}
