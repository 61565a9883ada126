// Batch norm, activation and residual sum in few passes over maps whose channels are innermost.
//
// A map is an array of rows × channels. It is cut into pieces that stay in the first cache; a piece is read in tiles of
// whole rows, long enough for vectors whatever the number of channels. Sums are taken in the order that is written here
// (and again, in PyTorch, in fused_reference.py): tile by tile within a piece, then the rows of the tile, then piece by
// piece in double. So they depend neither on the number of threads nor on the width of vectors. To be compiled with
// -ffp-contract=off: a fused multiply-add rounds otherwise than PyTorch's two operations.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

enum Act { plain = 0, relu = 1, relu6 = 2 };
enum Type { float32 = 0, bfloat16 = 1 };

// What fused_kernels.py passes; its Call has the same fields in the same order. Vectors are per channel.
struct Call {
    int64_t size, channels, tile, piece;  // in elements; tile and piece are multiples of channels
    int64_t type, act, threads;
    double eps, momentum;
    const void *x, *other, *gradient;   // other: the residual (forward), or the output (backward); may be null
    void *out, *before;                 // before: where the gradient before the activation goes
    const float *weight, *bias;
    float *running_mean, *running_var;
    double *wide;                       // mean, variance, 1/√(variance + ε) and scale, one after the other
    float *narrow;                      // mean, scale and shift
    float *to_weight, *to_bias;         // gradients
    float *partial;                     // 2 × channels for every piece

    const float *mean() const { return narrow; }
    const float *scale() const { return narrow + channels; }
    const float *shift() const { return narrow + 2 * channels; }
    int64_t pieces() const { return (size + piece - 1) / piece; }
    int64_t begin(int64_t number) const { return number * piece; }
    int64_t length(int64_t number) const { return std::min(piece, size - number * piece); }
};

struct Bfloat16 {
    uint16_t bits;
};

inline float widen(float value) { return value; }
inline float widen(Bfloat16 value) {
    const uint32_t bits = uint32_t(value.bits) << 16;
    float wide;
    std::memcpy(&wide, &bits, sizeof wide);
    return wide;
}

inline void store(float &place, float value) { place = value; }
inline void store(Bfloat16 &place, float value) {  // to the nearest, ties to even; NaN stays NaN
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    place.bits = uint16_t(value != value ? 0x7fc0u : rounded);
}

template <int ACT> inline float activate(float value) {  // as it is written, NaN passes
    if (ACT != plain) value = value < 0.0f ? 0.0f : value;
    if (ACT == relu6) value = value > 6.0f ? 6.0f : value;
    return value;
}

template <int ACT> inline float masked(float gradient, float value) {
    if (ACT == relu) return value <= 0.0f ? 0.0f : gradient;
    if (ACT == relu6) return value <= 0.0f || value >= 6.0f ? 0.0f : gradient;
    return gradient;
}

// A per-channel vector, repeated over a tile.
std::vector<float> tiled(const float *values, const Call &call) {
    std::vector<float> tile(call.tile);
    for (int64_t j = 0; j < call.tile; j++) tile[j] = values[j % call.channels];
    return tile;
}

void sum_rows(const float *tile, float *sums, const Call &call) {
    std::copy(tile, tile + call.channels, sums);
    for (int64_t j = call.channels; j < call.tile; j += call.channels)
        for (int64_t c = 0; c < call.channels; c++) sums[c] += tile[j + c];
}

// Calls body(offset, length) for every tile of a piece.
template <class Body> inline void by_tile(const Call &call, int64_t length, Body body) {
    int64_t offset = 0;
    for (; offset + call.tile <= length; offset += call.tile) body(offset, call.tile);
    if (offset < length) body(offset, length - offset);
}

// Per piece and channel: sum, and sum of squared differences from the piece's own mean.
template <class T> void moments(const Call &call) {
    const int64_t channels = call.channels;
#pragma omp parallel num_threads(int(call.threads)) if (call.threads > 1)
    {
        std::vector<float> sums(call.tile), means(call.tile);
        float *const sum = sums.data(), *const mean = means.data();
#pragma omp for schedule(static)
        for (int64_t number = 0; number < call.pieces(); number++) {
            const int64_t length = call.length(number);
            const T *const x = static_cast<const T *>(call.x) + call.begin(number);
            float *const out = call.partial + number * 2 * channels;
            std::fill(sums.begin(), sums.end(), 0.0f);
            by_tile(call, length, [=](int64_t offset, int64_t count) {
#pragma omp simd
                for (int64_t j = 0; j < count; j++) sum[j] += widen(x[offset + j]);
            });
            sum_rows(sum, out, call);
            const float rows = float(length / channels);
            for (int64_t c = 0; c < channels; c++) mean[c] = out[c] / rows;
            for (int64_t j = channels; j < call.tile; j++) mean[j] = mean[j - channels];
            std::fill(sums.begin(), sums.end(), 0.0f);
            by_tile(call, length, [=](int64_t offset, int64_t count) {
#pragma omp simd
                for (int64_t j = 0; j < count; j++) {
                    const float difference = widen(x[offset + j]) - mean[j];
                    sum[j] += difference * difference;
                }
            });
            sum_rows(sum, out + channels, call);
        }
    }
}

// Mean and variance over all pieces, what follows from them, and the running statistics moved by the momentum.
void normalisation(const Call &call) {
    const int64_t channels = call.channels;
    const double rows = double(call.size / channels);
    double *const mean = call.wide, *const variance = mean + channels;
    double *const inverse = variance + channels, *const scale = inverse + channels;
    std::fill(mean, mean + 2 * channels, 0.0);
    for (int64_t number = 0; number < call.pieces(); number++)
        for (int64_t c = 0; c < channels; c++) mean[c] += double(call.partial[number * 2 * channels + c]);
    for (int64_t c = 0; c < channels; c++) mean[c] /= rows;
    for (int64_t number = 0; number < call.pieces(); number++) {
        const double count = double(call.length(number) / channels);
        const float *const sums = call.partial + number * 2 * channels;
        for (int64_t c = 0; c < channels; c++) {
            const double difference = double(sums[c]) / count - mean[c];
            variance[c] += double(sums[channels + c]) + count * (difference * difference);
        }
    }
    const float momentum = float(call.momentum);
    for (int64_t c = 0; c < channels; c++) {
        variance[c] /= rows;
        inverse[c] = 1.0 / std::sqrt(variance[c] + call.eps);
        scale[c] = double(call.weight[c]) * inverse[c];
        call.narrow[c] = float(mean[c]);
        call.narrow[channels + c] = float(scale[c]);
        call.narrow[2 * channels + c] = float(double(call.bias[c]) - mean[c] * scale[c]);
        const float unbiased = float(variance[c] * (rows / (rows - 1.0)));
        call.running_mean[c] += (call.narrow[c] - call.running_mean[c]) * momentum;
        call.running_var[c] += (unbiased - call.running_var[c]) * momentum;
    }
}

// out = act(x·scale + shift [+ other])
template <class T, int ACT, bool ADD> void apply(const Call &call) {
    const std::vector<float> scales = tiled(call.scale(), call), shifts = tiled(call.shift(), call);
    const float *const scale = scales.data(), *const shift = shifts.data();
#pragma omp parallel for schedule(static) num_threads(int(call.threads)) if (call.threads > 1)
    for (int64_t number = 0; number < call.pieces(); number++) {
        const T *const x = static_cast<const T *>(call.x) + call.begin(number);
        const T *const added = ADD ? static_cast<const T *>(call.other) + call.begin(number) : nullptr;
        T *const out = static_cast<T *>(call.out) + call.begin(number);
        by_tile(call, call.length(number), [=](int64_t offset, int64_t count) {
#pragma omp simd
            for (int64_t j = 0; j < count; j++) {
                float value = widen(x[offset + j]) * scale[j] + shift[j];
                if (ADD) value = value + widen(added[offset + j]);
                store(out[offset + j], activate<ACT>(value));
            }
        });
    }
}

// Per piece and channel: Σ g and Σ g·(x − mean), g the gradient before the activation. With OUTPUT the output decides
// what passed, and g is written to `before`, as it is the residual's gradient too; without, x·scale + shift decides.
template <class T, int ACT, bool OUTPUT> void gradient_sums(const Call &call) {
    const std::vector<float> means = tiled(call.mean(), call), scales = tiled(call.scale(), call);
    const std::vector<float> shifts = tiled(call.shift(), call);
    const float *const mean = means.data(), *const scale = scales.data(), *const shift = shifts.data();
#pragma omp parallel num_threads(int(call.threads)) if (call.threads > 1)
    {
        std::vector<float> sums(call.tile), products(call.tile);
        float *const sum = sums.data(), *const product = products.data();
#pragma omp for schedule(static)
        for (int64_t number = 0; number < call.pieces(); number++) {
            const T *const x = static_cast<const T *>(call.x) + call.begin(number);
            const T *const gradient = static_cast<const T *>(call.gradient) + call.begin(number);
            const T *const output = OUTPUT ? static_cast<const T *>(call.other) + call.begin(number) : nullptr;
            T *const before = OUTPUT ? static_cast<T *>(call.before) + call.begin(number) : nullptr;
            std::fill(sums.begin(), sums.end(), 0.0f);
            std::fill(products.begin(), products.end(), 0.0f);
            by_tile(call, call.length(number), [=](int64_t offset, int64_t count) {
#pragma omp simd
                for (int64_t j = 0; j < count; j++) {
                    const float value = widen(x[offset + j]);
                    const float judged = OUTPUT ? widen(output[offset + j]) : value * scale[j] + shift[j];
                    const float passed = masked<ACT>(widen(gradient[offset + j]), judged);
                    if (OUTPUT) store(before[offset + j], passed);
                    sum[j] += passed;
                    product[j] += passed * (value - mean[j]);
                }
            });
            float *const out = call.partial + number * 2 * call.channels;
            sum_rows(sum, out, call);
            sum_rows(product, out + call.channels, call);
        }
    }
}

// What the gradient of x takes, besides the norm: slopes and constants; and the gradients of weight and bias.
void parameter_gradients(const Call &call, std::vector<float> &slopes, std::vector<float> &constants) {
    const int64_t channels = call.channels;
    const double rows = double(call.size / channels);
    const double *const inverse = call.wide + 2 * channels, *const scale = inverse + channels;
    std::vector<double> plain(channels), weighted(channels);
    const float *partial = call.partial;
    for (int64_t number = 0; number < call.pieces(); number++, partial += 2 * channels) {
        for (int64_t c = 0; c < channels; c++) plain[c] += double(partial[c]);
        for (int64_t c = 0; c < channels; c++) weighted[c] += double(partial[channels + c]);
    }
    for (int64_t c = 0; c < channels; c++) {
        const double of_weight = weighted[c] * inverse[c];
        call.to_weight[c] = float(of_weight);
        call.to_bias[c] = float(plain[c]);
        slopes[c] = float(-(scale[c] * inverse[c] * of_weight / rows));
        constants[c] = float(-(scale[c] * plain[c] / rows));
    }
}

// Gradient of x: out = (g·scale + (x − mean)·slope) + constant
template <class T, int ACT, bool OUTPUT>
void apply_gradient(const Call &call, const std::vector<float> &slope_of, const std::vector<float> &constant_of) {
    const std::vector<float> means = tiled(call.mean(), call), scales = tiled(call.scale(), call);
    const std::vector<float> shifts = tiled(call.shift(), call), slopes = tiled(slope_of.data(), call);
    const std::vector<float> constants = tiled(constant_of.data(), call);
    const float *const mean = means.data(), *const scale = scales.data(), *const shift = shifts.data();
    const float *const slope = slopes.data(), *const constant = constants.data();
#pragma omp parallel for schedule(static) num_threads(int(call.threads)) if (call.threads > 1)
    for (int64_t number = 0; number < call.pieces(); number++) {
        const T *const x = static_cast<const T *>(call.x) + call.begin(number);
        const T *const gradient = static_cast<const T *>(OUTPUT ? call.before : call.gradient) + call.begin(number);
        T *const out = static_cast<T *>(call.out) + call.begin(number);
        by_tile(call, call.length(number), [=](int64_t offset, int64_t count) {
#pragma omp simd
            for (int64_t j = 0; j < count; j++) {
                const float value = widen(x[offset + j]);
                float passed = widen(gradient[offset + j]);
                if (!OUTPUT) passed = masked<ACT>(passed, value * scale[j] + shift[j]);
                store(out[offset + j], (passed * scale[j] + (value - mean[j]) * slope[j]) + constant[j]);
            }
        });
    }
}

template <class T, int ACT> void forward_by(const Call &call) {
    moments<T>(call);
    normalisation(call);
    call.other ? apply<T, ACT, true>(call) : apply<T, ACT, false>(call);
}

template <class T, int ACT, bool OUTPUT> void backward_by(const Call &call) {
    gradient_sums<T, ACT, OUTPUT>(call);
    std::vector<float> slopes(call.channels), constants(call.channels);
    parameter_gradients(call, slopes, constants);
    if (call.out) apply_gradient<T, ACT, OUTPUT>(call, slopes, constants);
}

template <class T, int ACT> struct Kernel {
    static void forward(const Call &call) { forward_by<T, ACT>(call); }
    static void backward(const Call &call) {
        call.other ? backward_by<T, ACT, true>(call) : backward_by<T, ACT, false>(call);
    }
};

// Calls run(Kernel<T, ACT>) of the call's own type and activation.
template <class T, class Run> void by_act(const Call &call, Run run) {
    if (call.act == relu) return run(Kernel<T, relu>());
    if (call.act == relu6) return run(Kernel<T, relu6>());
    run(Kernel<T, plain>());
}

template <class Run> void dispatch(const Call &call, Run run) {
    if (call.type == bfloat16) return by_act<Bfloat16>(call, run);
    by_act<float>(call, run);
}

}  // namespace

extern "C" {

void forward(const Call *call) { dispatch(*call, [=](auto kernel) { kernel.forward(*call); }); }
void backward(const Call *call) { dispatch(*call, [=](auto kernel) { kernel.backward(*call); }); }
}
