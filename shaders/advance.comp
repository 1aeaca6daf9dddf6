// norm = sqrt(sumsq). When loss and norm are finite: step += 1, bc = Beta bc + (1 - Beta), clip = min(1, maxnorm / (norm + 1e-6)) or 1 when maxnorm is 0, apply = 1; else skipped += 1, apply = 0. Norm and loss are stored in any case.
// loss, sumsq (1); hyper, state (8).
// Dispatch: (1, 1, 1), one invocation.
// Shared memory: none.
// Deterministic: one invocation.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"
#include "math.glsl"

layout(local_size_x = 1) in;

layout(push_constant) uniform Args {
	uvec2 loss, sumsq, hyper, state;
	float beta1, rest1, beta2, rest2;
} p;

void main() {
	Floats state = Floats(p.state);
	float loss = Floats(p.loss).v[0], norm = sqrtf(Floats(p.sumsq).v[0]), maxNorm = Floats(p.hyper).v[1];
	state.v[6] = norm;
	state.v[7] = loss;
	if (notFinite(loss) || notFinite(norm)) {
		state.v[1] += 1.0;
		state.v[5] = 0.0;
		return;
	}
	state.v[0] += 1.0;
	state.v[2] = fma(p.beta1, state.v[2], p.rest1);
	state.v[3] = fma(p.beta2, state.v[3], p.rest2);
	state.v[4] = maxNorm == 0.0 ? 1.0 : min(1.0, divf(maxNorm, norm + 1e-6));
	state.v[5] = 1.0;
}
