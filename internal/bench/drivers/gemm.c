/* Times cblas_sgemm. Protocol: "setup m n k threads", then "run reps". */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Wall-clock seconds, or those of this process's CPU time if the environment
 * says so. */
static double now(void) {
  struct timespec t;
  const char *kind = getenv("BENCH_CLOCK");
  clock_gettime(kind && !strcmp(kind, "cpu") ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return t.tv_sec + 1e-9 * t.tv_nsec;
}

static float *fresh(size_t n) {
  float *p = aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64);
  for (size_t i = 0; i < n; i++) p[i] = (float)(i * 2654435761u % 1000) / 1000 - 0.5f;
  return p;
}

int main(void) {
  char line[256];
  float *a = 0, *b = 0, *c = 0;
  int m = 0, n = 0, k = 0, threads, reps;
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "setup %d %d %d %d", &m, &n, &k, &threads) == 4) {
      free(a), free(b), free(c);
      a = fresh((size_t)m * k), b = fresh((size_t)k * n), c = fresh((size_t)m * n);
      openblas_set_num_threads(threads);
      printf("ok %s\n", openblas_get_corename());
    } else if (sscanf(line, "run %d", &reps) == 1 && c) {
      for (int i = 0; i < reps; i++) {
        double start = now();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a, k, b, n, 0, c, n);
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
