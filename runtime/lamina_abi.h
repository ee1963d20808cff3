/* runtime/lamina_abi.h - what a compiled network and its host know of each other.
 *
 * Plain C structs of fixed-width fields, `struct_size` first; the version rises in its major part when an old reader
 * would misread, in its minor part when fields are added at the end. The compiler lays the descriptor out by hand,
 * field by field, and both sides assert the offsets. Sizes and offsets are in bytes. */
#ifndef LAMINA_ABI_H
#define LAMINA_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LAMINA_ABI_MAJOR 1
#define LAMINA_ABI_MINOR 8

enum { LAMINA_MAX_RANK = 8 };

/* Element types, as in the IR; an I1 is one byte, 0 or 1. */
enum { LAMINA_F32 = 1, LAMINA_F64 = 2, LAMINA_I32 = 3, LAMINA_I64 = 4, LAMINA_UI32 = 5, LAMINA_UI8 = 6, LAMINA_I1 = 7 };

/* ---- a call ---- */

/* One task of a parallel loop. Tasks of one loop are independent: none waits for another. */
typedef void lamina_task(void *context, int64_t task);
/* Run task(context, 0) ... task(context, tasks - 1), in any order, on any threads, and return when all are done. */
typedef void lamina_parallel_for(void *host, lamina_task *task, void *context, int64_t tasks);

/* C = A B in f32 on the calling thread alone: cblas_sgemm of a BLAS with 32-bit numbers, or something that takes the
 * same. Only libraries compiled with --gemm=openblas call it, with order 101, transpositions 111 or 112, alpha 1 and
 * beta 0. Their products have this function's bits: they may differ from machine to machine, though not with the
 * number of workers. */
typedef void lamina_sgemm(int32_t order, int32_t transpose_a, int32_t transpose_b, int32_t m, int32_t n, int32_t k,
                          float alpha, const float *a, int32_t lda, const float *b, int32_t ldb, float beta, float *c,
                          int32_t ldc);

/* Everything a generated function reads and writes. The memory is the caller's; a function touches nothing outside the
 * sizes that the descriptor states and keeps no pointer. params, state, gradients, saved and workspace are aligned to
 * 64 bytes; inputs and outputs to their element size. A pointer whose segment the function does not use may be NULL.
 * infer and evaluate use neither gradients nor saved, and of state and workspace only what the descriptor says. */
typedef struct lamina_call {
    uint64_t struct_size;      /* sizeof(lamina_call) of the caller */
    int64_t batch;             /* examples in this call, 1 .. max_batch */
    void *params;              /* params_bytes, resident layout: import_weights writes it */
    void *state;               /* state_bytes: optimizer moments, running statistics, step, seed, metric sums */
    void *gradients;           /* gradient_bytes, all f32; gradients() overwrites them, update() reads them */
    const void *const *inputs; /* a pointer for each of the net's inputs, in order; B outermost, then row-major */
    void *const *outputs;      /* a pointer for each of the net's outputs */
    void *saved;               /* saved_bytes: lives from a stage's forward to its backward */
    void *workspace;           /* workspace_bytes + workers * workspace_worker_bytes; undefined between calls */
    int64_t workers;           /* threads that parallel_for may use, at least 1 */
    lamina_parallel_for *parallel_for; /* NULL: serial */
    void *host;                        /* passed to parallel_for */
    int64_t micro_batch;               /* number of this part of a batch, from 0: a word of the random numbers */
    float learning_rate;
    float loss_scale;               /* the cotangent the backward pass starts from: 1 / examples of the whole batch */
    const volatile int32_t *cancel; /* infer stops between kernels once this is not 0; may be NULL */
    lamina_sgemm *sgemm;            /* since 1.1; may be NULL unless the net needs LAMINA_NEEDS_SGEMM */
} lamina_call;

/* What a generated function returns. */
enum {
    LAMINA_CALL_OK = 0,
    LAMINA_CALL_BAD_SIZE = 1,    /* struct_size is smaller than this function needs */
    LAMINA_CALL_BAD_BATCH = 2,   /* batch is not in 1 .. max_batch */
    LAMINA_CALL_BAD_POINTER = 3, /* a segment the function uses is NULL or not aligned to 64 bytes */
    LAMINA_CALL_CANCELLED = 4,
    LAMINA_CALL_NO_SGEMM = 5 /* the function calls sgemm, which is NULL */
};

typedef int32_t lamina_function(const lamina_call *call);

/* Between plain row-major tensors and the resident layout. tensors[i] belongs to the descriptor's tensor i (parameters,
 * then states); NULL skips it. import_weights reads them, export_weights writes them. */
typedef struct lamina_weights {
    uint64_t struct_size;
    void *params, *state;
    void *const *tensors;
} lamina_weights;

typedef int32_t lamina_weights_function(const lamina_weights *w);

/* ---- the descriptor ---- */

enum { LAMINA_TENSOR_PARAM = 1, LAMINA_TENSOR_STATE = 2, LAMINA_TENSOR_INPUT = 3, LAMINA_TENSOR_OUTPUT = 4 };

/* How a tensor starts; numbers a and b. The values come from (seed, stream) and the element's number only. */
enum {
    LAMINA_INIT_NONE = 0,
    LAMINA_INIT_CONSTANT = 1,         /* a */
    LAMINA_INIT_UNIFORM = 2,          /* in [a, b) */
    LAMINA_INIT_NORMAL = 3,           /* mean a, deviation b */
    LAMINA_INIT_TRUNCATED_NORMAL = 4, /* mean a, deviation b, redrawn beyond two deviations */
    LAMINA_INIT_SEED = 5,             /* the seed itself */
    LAMINA_INIT_IDENTITY = 6,         /* since 1.4, of rank 2: a where row mod columns is the column, else 0 */
    /* Since 1.5: a, until the host knows the training data; then of the values of input number 'stream', as f32 times
     * b, that have the same place in the last dimension. NaN does not count; where nothing else is there, a stays. */
    LAMINA_INIT_DATA_MEAN = 7,
    LAMINA_INIT_DATA_DEVIATION = 8, /* the root of the mean square distance from the mean; 1 where that is 0 */
    LAMINA_INIT_DATA_MINIMUM = 9,
    LAMINA_INIT_DATA_RANGE = 10,  /* maximum - minimum; 1 where that is 0 */
    LAMINA_INIT_DATA_MEDIAN = 11, /* of an even number of values the mean of the two in the middle */
    /* Since 1.7, f32 of rank 2 and more: as a matrix of the last dimension by all others, a times one whose columns, or
     * rows if these are fewer, are orthonormal. They are what normal numbers become by Gram and Schmidt's method, in
     * their order (Saxe et al. 2014): the Q of a QR decomposition whose R has a diagonal above 0, as Keras takes it. */
    LAMINA_INIT_ORTHOGONAL = 12
};

typedef struct lamina_tensor {
    const char *name; /* "dense1.weight", "adam.m/dense1.weight", "image", "logits" */
    int32_t kind;     /* LAMINA_TENSOR_* */
    int32_t dtype;    /* LAMINA_F32 ... */
    int32_t rank;
    int32_t batch_dim; /* the dimension that is dim[i] * batch, or -1 */
    int64_t dim[LAMINA_MAX_RANK];
    uint64_t bytes;  /* plain row-major size; of one example where it has the batch */
    uint64_t offset; /* of the resident form in its segment; of inputs and outputs their number */
    int32_t init;    /* LAMINA_INIT_* */
    uint32_t stream; /* names the random numbers of the initialiser, or its input */
    double init_a, init_b;
} lamina_tensor;

/* How a metric is made of sums over all examples, which are states of f64: 'sum' and 'count' are the numbers of two
 * such tensors, the second one a scalar. The kinds from ROOT_MEAN on, since 1.8:
 *
 *   R2              sum [3, n]: of squared errors e, of targets t, of t^2, each at n places; count: of how many rows.
 *                   The mean over the places of 1 - e / (t^2 - t t / count), of targets that are all one number 1 if
 *                   e = 0, else 0: scikit-learn's r2_score
 *   PRECISION ...   sum [3, n]: how often each of n classes is said rightly, is said, is true (tp, tp + fp, tp + fn).
 *                   MICRO is the formula of the sums over all classes, MACRO the mean over those classes that are said
 *                   or true, WEIGHTED that with what is true as weights; a class whose formula is 0 / 0 counts there as
 *                   0: scikit-learn's averages. EACH is a number a class, NaN for 0 / 0
 *   CONFUSION_...   sum [n, n]: how often what is true (row) is said to be this (column). MATTHEWS is Gorodkin's (2004)
 *                   for more than two classes; both coefficients are scikit-learn's
 *   AUC, ...        of all examples in the order of their scores, so of no sums: 'sum' is the number of an output,
 *                   which evaluate gives, 'count' of an input, the labels. If the input has as many elements as the
 *                   output they are yes or no, above 1/2 or not, and places in the last dimension are classes; else one
 *                   is a class's number, and scores are the softmax of the output. Each class is measured against all
 *                   others: MACRO is the mean over those that some examples are of (of AUC: and some not), WEIGHTED
 *                   that by how many are; MICRO takes all classes as one. Equal scores are one threshold: scikit-
 *                   learn's roc_auc_score and average_precision_score
 *
 * CONFUSION_MATRIX and those behind it are measured by evaluate alone, not while a net learns. */
enum {
    LAMINA_METRIC_MEAN = 1,      /* sum / count */
    LAMINA_METRIC_ROOT_MEAN = 2, /* the root of that; since 1.8 */
    LAMINA_METRIC_R2 = 3,
    LAMINA_METRIC_PRECISION = 4, /* tp / (tp + fp) */
    LAMINA_METRIC_RECALL = 5,    /* tp / (tp + fn) */
    LAMINA_METRIC_F1 = 6,        /* 2 tp / (2 tp + fp + fn) */
    LAMINA_METRIC_IOU = 7,       /* tp / (tp + fp + fn) */
    LAMINA_METRIC_CONFUSION_MATRIX = 8,
    LAMINA_METRIC_MATTHEWS = 9,
    LAMINA_METRIC_COHEN_KAPPA = 10,
    LAMINA_METRIC_AUC = 11, /* under the curve of true against false positives */
    LAMINA_METRIC_AVERAGE_PRECISION = 12,
    /* Added to these: */
    LAMINA_METRIC_MACRO = 0x100,
    LAMINA_METRIC_MICRO = 0x200,
    LAMINA_METRIC_WEIGHTED = 0x300,
    LAMINA_METRIC_EACH = 0x400
};

typedef struct lamina_metric {
    const char *name; /* "loss", "accuracy" */
    int32_t kind;     /* LAMINA_METRIC_* */
    int32_t sum, count;
    int32_t higher_is_better; /* 0 or 1 */
} lamina_metric;

/* The learning rate of step t, counted from 0, which the host works out (in double, then rounded to f32). A constant
 * one is a. The others are schedules, since 1.6: the numbers that the net's rate_numbers has, in this order, a being
 * the rate that multiples are named by. Two numbers stand before those of the kind, whichever it is: the length W of a
 * warm-up, and the rate w where that begins. W is 0 where there is none; else t < W has the rate w + (r(0) - w) t / W,
 * and what follows is r(t - W), as PyTorch's SequentialLR puts LinearLR before another.
 *
 * W, and the length L of a schedule, are in steps or in epochs ('units'); then the host knows how many steps an epoch
 * has. t is worked out each step either way, and lengths may be fractions.
 *
 *   CONSTANT         i                r = i
 *   STEP             i L g            i g^floor(t / L)                          PyTorch StepLR
 *   PIECEWISE        v0 .. vn b1..bn  vk, k being how many b are <= t           PyTorch MultiStepLR, with own values;
 *                                     Keras' PiecewiseConstantDecay changes one step later
 *   EXPONENTIAL      i L g            i g^(t / L)                               Keras ExponentialDecay
 *   POLYNOMIAL       i L f p          f + (i - f) (1 - t / L)^p, then f         Keras PolynomialDecay
 *   COSINE           i L f            f + (i - f) (1 + cos(pi t / L)) / 2, then f
 *                                     PyTorch CosineAnnealingLR; what follows is Keras' CosineDecay
 *   COSINE_RESTARTS  i L f x y        COSINE again and again: period k has the length L x^k and begins at
 *                                     f + (i - f) y^k                           Keras CosineDecayRestarts, PyTorch
 *                                     CosineAnnealingWarmRestarts (y = 1)
 *   ONE_CYCLE        m L p d e        by half a cosine from m / d up to m at p L - 1, by another down to m / d / e at
 *                                     L - 1, then that                          PyTorch OneCycleLR
 *   INVERSE_SQRT     i L              i / sqrt(1 + t / L)                       Vaswani et al. 2017 (its W is L),
 *                                     and Hugging Face's get_inverse_sqrt_schedule */
enum {
    LAMINA_RATE_CONSTANT = 1,
    LAMINA_RATE_STEP = 2,
    LAMINA_RATE_PIECEWISE = 3,
    LAMINA_RATE_EXPONENTIAL = 4,
    LAMINA_RATE_POLYNOMIAL = 5,
    LAMINA_RATE_COSINE = 6,
    LAMINA_RATE_COSINE_RESTARTS = 7,
    LAMINA_RATE_ONE_CYCLE = 8,
    LAMINA_RATE_INVERSE_SQRT = 9
};

/* What counts in epochs, not in steps: L and all b; W. */
enum { LAMINA_RATE_IN_EPOCHS = 1, LAMINA_RATE_WARMUP_IN_EPOCHS = 2 };

typedef struct lamina_rate {
    int32_t kind;  /* LAMINA_RATE_* */
    int32_t units; /* since 1.6 */
    double a, b, c, d;
} lamina_rate;

/* A step runs forward of each stage, then, from the last to the first, backward_update; or backward of each, then
 * update of each. A net whose update needs the gradients of all stages has no backward_update: it is NULL. */
typedef struct lamina_stage {
    const char *name;
    lamina_function *forward, *backward, *update, *backward_update;
} lamina_stage;

/* What a net needs of its host; a host refuses a net that needs what it does not know.
 * SUMS, of each net that has gradients(): its host adds up the micro-batches of a step before update(), by the rule
 * that sums over examples follow: as neighbours (0+1, 2+3, ...), an odd last one passing up unchanged, until one is
 * left. So it has the same bits whether one process does it or several, each with a power of two of micro-batches. (A
 * net without SUMS has gradients() that adds to what is there unless micro_batch is 0: ABI 1.0 and 1.1.)
 * IDENTITY: a tensor begins as LAMINA_INIT_IDENTITY. DATA: one begins as a LAMINA_INIT_DATA_*. SCHEDULE: its learning
 * rate is rate_numbers'. ORTHOGONAL: a tensor begins as LAMINA_INIT_ORTHOGONAL. METRICS: it has some that are no
 * MEAN. */
enum {
    LAMINA_NEEDS_SGEMM = 1,
    LAMINA_NEEDS_SUMS = 2,
    LAMINA_NEEDS_IDENTITY = 4,
    LAMINA_NEEDS_DATA = 8,
    LAMINA_NEEDS_SCHEDULE = 16,
    LAMINA_NEEDS_ORTHOGONAL = 32,
    LAMINA_NEEDS_METRICS = 64
};

/* What the functions of one stage alone do with an input or an output of theirs. A boundary value is made by one stage
 * and read by others, under one name; its maker may read it again. */
enum { LAMINA_USE_FORWARD = 1, LAMINA_USE_BACKWARD = 2, LAMINA_USE_BOUNDARY = 4 };

typedef struct lamina_net {
    uint64_t struct_size;
    int32_t abi_major, abi_minor;
    const char *name;     /* "fashion_mlp" */
    const char *hash;     /* of the graph before partition, as hexadecimal text */
    const char *compiler; /* "lamina 0.1" */
    const char *cpu;      /* what the code was compiled for */
    const char *features; /* instruction sets the code needs, as names separated by commas: "avx2,fma,avx512f" */
    int64_t max_batch;
    uint64_t params_bytes, state_bytes, gradient_bytes, saved_bytes;
    uint64_t workspace_bytes, workspace_worker_bytes;
    int32_t tensor_count; /* parameters, then states: the order of import_weights */
    int32_t param_count;  /* of which parameters */
    int32_t input_count, output_count;
    int32_t metric_count, stage_count;
    const lamina_tensor *tensors, *inputs, *outputs;
    const lamina_metric *metrics;
    const lamina_stage *stages;
    lamina_rate rate;
    lamina_function *infer, *evaluate, *train_step, *gradients, *update; /* NULL where the net has none */
    lamina_weights_function *import_weights, *export_weights;
    uint64_t needs; /* since 1.1: of the host, LAMINA_NEEDS_* */
    /* Since 1.3: how much of the state, of the workspace and of a worker's part of it infer and evaluate use. Who calls
     * no others needs no more; a lamina_weights has NULL then for each state that lies beyond. */
    uint64_t inference_state_bytes, inference_workspace_bytes, inference_worker_bytes;
    /* Since 1.5: LAMINA_USE_* of each input and output of the net of one stage alone, which has just that stage among
     * 'stages', and of the functions above update; NULL for others. Its update assigns what all stages share. Of a
     * metric that several stages have, the sums are those of all of them together. */
    const int32_t *input_use, *output_use;
    /* Since 1.6: of a schedule, see LAMINA_RATE_*; NULL where the rate is constant. */
    const double *rate_numbers;
    uint64_t rate_count; /* of them */
} lamina_net;

/* Each library exports one: NAME_query. The constant descriptor, or NULL if 'abi_major' is another version. */
typedef const lamina_net *lamina_query(int32_t abi_major);

/* ---- files ---- */

/* How a shared object ends that `lamina compile` linked: this word, then the CRC-32 of all bytes before those of the
 * CRC, little-endian. It lies behind all that ELF knows of, so a program that rewrites a library, as strip does, leaves
 * it out; a library without it is not compared with anything. */
#define LAMINA_SEAL "LAMcrc32"
enum { LAMINA_SEAL_WORD = sizeof LAMINA_SEAL - 1, LAMINA_SEAL_BYTES = LAMINA_SEAL_WORD + 4 };

#ifdef __cplusplus
}
#endif

#endif
