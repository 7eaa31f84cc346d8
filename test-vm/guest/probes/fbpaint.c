/* fbpaint SEED: the pattern of SEED, as `kms` draws it, through /dev/fb0 by write(); prints the size in pixels. */
#include <linux/fb.h>
#include <sys/ioctl.h>
#include "pattern.h"
#include "probe.h"

int main(int argc, char **argv) {
  if (argc != 2) usage("fbpaint SEED");
  int fd = open_or_die("/dev/fb0", O_RDWR, 0);
  struct fb_var_screeninfo screen;
  struct fb_fix_screeninfo fixed;
  if (ioctl(fd, FBIOGET_VSCREENINFO, &screen) < 0 || ioctl(fd, FBIOGET_FSCREENINFO, &fixed) < 0) die("fb0");
  if (screen.bits_per_pixel != 32) { fprintf(stderr, "%u bits a pixel\n", screen.bits_per_pixel); return 1; }
  uint32_t seed = pattern_seed((uint32_t)strtoul(argv[1], NULL, 0), 1);
  uint32_t row[16384];
  for (uint32_t y = 0; y < screen.yres; y++) {
    for (uint32_t x = 0; x < screen.xres; x++) row[x] = pattern_word(seed, y * 65536 + x);
    write_fully(fd, (unsigned char *)row, screen.xres * 4, (off_t)y * fixed.line_length);
  }
  printf("%ux%u\n", screen.xres, screen.yres);
  return 0;
}
