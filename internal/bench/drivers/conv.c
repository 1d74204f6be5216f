/* Times oneDNN's direct convolution in the memory layouts that it likes best.
 * Protocol: "setup pass n h c k r stride pad threads" with pass F, BD or BW,
 * then "run reps". */
#include <oneapi/dnnl/dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if DNNL_VERSION_MAJOR != 2
#error "this driver is written for oneDNN 2"
#endif

/* Wall-clock seconds, or those of this process's CPU time if the environment
 * says so. */
static double now(void) {
  struct timespec t;
  const char *kind = getenv("BENCH_CLOCK");
  clock_gettime(kind && !strcmp(kind, "cpu") ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static dnnl_engine_t engine;
static dnnl_stream_t stream;
static dnnl_primitive_t primitive;
static dnnl_exec_arg_t args[3];
static dnnl_memory_t memories[3];

#define TRY(call)                                        \
  do {                                                   \
    dnnl_status_t status_ = (call);                      \
    if (status_ != dnnl_success) {                       \
      printf("error: %s gives %d\n", #call, status_);    \
      return;                                            \
    }                                                    \
  } while (0)

static void attach(int i, int name, dnnl_primitive_desc_t pd) {
  const dnnl_memory_desc_t *md = dnnl_primitive_desc_query_md(pd, dnnl_query_exec_arg_md, name);
  dnnl_memory_create(&memories[i], md, engine, DNNL_MEMORY_ALLOCATE);
  float *p;
  dnnl_memory_get_data_handle(memories[i], (void **)&p);
  size_t n = dnnl_memory_desc_get_size(md) / sizeof(float);
  for (size_t j = 0; j < n; j++) p[j] = (float)(j * 2654435761u % 1000) / 1000 - 0.5f;
  args[i].arg = name;
  args[i].memory = memories[i];
}

static void setup(const char *pass, int n, int h, int c, int k, int r, int stride, int pad, int threads) {
  if (primitive) {
    dnnl_primitive_destroy(primitive);
    for (int i = 0; i < 3; i++) dnnl_memory_destroy(memories[i]);
    primitive = 0;
  }
  omp_set_num_threads(threads);
  int o = (h + 2 * pad - r) / stride + 1;
  dnnl_dims_t xs = {n, c, h, h}, ws = {k, c, r, r}, ys = {n, k, o, o};
  dnnl_dims_t strides = {stride, stride}, pads = {pad, pad};
  /* With an odd rest the last rows of the image meet no window. */
  dnnl_dims_t ends = {(o - 1) * stride + r - h - pad, (o - 1) * stride + r - h - pad};
  dnnl_memory_desc_t x, w, y;
  TRY(dnnl_memory_desc_init_by_tag(&x, 4, xs, dnnl_f32, dnnl_format_tag_any));
  TRY(dnnl_memory_desc_init_by_tag(&w, 4, ws, dnnl_f32, dnnl_format_tag_any));
  TRY(dnnl_memory_desc_init_by_tag(&y, 4, ys, dnnl_f32, dnnl_format_tag_any));
  dnnl_convolution_desc_t cd;
  dnnl_primitive_desc_t pd, hint;
  TRY(dnnl_convolution_forward_desc_init(&cd, dnnl_forward_training, dnnl_convolution_direct, &x, &w, NULL, &y, strides, pads, ends));
  TRY(dnnl_primitive_desc_create(&hint, &cd, NULL, engine, NULL));
  if (!strcmp(pass, "F")) {
    pd = hint;
    attach(0, DNNL_ARG_SRC, pd), attach(1, DNNL_ARG_WEIGHTS, pd), attach(2, DNNL_ARG_DST, pd);
  } else if (!strcmp(pass, "BD")) {
    TRY(dnnl_convolution_backward_data_desc_init(&cd, dnnl_convolution_direct, &x, &w, &y, strides, pads, ends));
    TRY(dnnl_primitive_desc_create(&pd, &cd, NULL, engine, hint));
    attach(0, DNNL_ARG_DIFF_DST, pd), attach(1, DNNL_ARG_WEIGHTS, pd), attach(2, DNNL_ARG_DIFF_SRC, pd);
  } else {
    TRY(dnnl_convolution_backward_weights_desc_init(&cd, dnnl_convolution_direct, &x, &w, NULL, &y, strides, pads, ends));
    TRY(dnnl_primitive_desc_create(&pd, &cd, NULL, engine, hint));
    attach(0, DNNL_ARG_SRC, pd), attach(1, DNNL_ARG_DIFF_DST, pd), attach(2, DNNL_ARG_DIFF_WEIGHTS, pd);
  }
  const char *name = "";
  dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name);
  TRY(dnnl_primitive_create(&primitive, pd));
  printf("ok %s\n", name);
}

int main(void) {
  char line[256], pass[4];
  int n, h, c, k, r, stride, pad, threads, reps;
  dnnl_engine_create(&engine, dnnl_cpu, 0);
  dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "setup %3s %d %d %d %d %d %d %d %d", pass, &n, &h, &c, &k, &r, &stride, &pad, &threads) == 9) {
      setup(pass, n, h, c, k, r, stride, pad, threads);
    } else if (sscanf(line, "run %d", &reps) == 1 && primitive) {
      for (int i = 0; i < reps; i++) {
        double start = now();
        dnnl_primitive_execute(primitive, stream, 3, args);
        dnnl_stream_wait(stream);
        printf("%.9f ", now() - start);
      }
      printf("\n");
    } else {
      printf("error: unknown command %s", line);
    }
    fflush(stdout);
  }
  return 0;
}
