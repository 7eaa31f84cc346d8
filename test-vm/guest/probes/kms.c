/*
 * kms NAME [CARD]: a DRM master that draws known pictures. Commands (see serve.h):
 *   info                 connectors with their modes and EDID
 *   set W H SEED         shows a dumb buffer of that size, drawn with SEED, in the mode of that size
 *   flip SEED            draws another buffer and flips to it, waiting for the kernel's event
 *   rect X Y W H SEED    draws that part of the shown buffer anew, and says so (DIRTYFB)
 *   cursor HOTX HOTY SEED   gives the cursor an image of 64 x 64; `move X Y`, `hide`
 *   hotplug              waits for the kernel's word that the displays changed, then as info
 * A picture's pixel (x, y) is word y * 65536 + x of the pattern of its seed, salt 1; a cursor's y * 64 + x, salt 2.
 */
#include <drm/drm.h>
#include <drm/drm_fourcc.h>
#include <drm/drm_mode.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "pattern.h"
#include "serve.h"

#define CURSOR 64
#define HOTPLUG_MS 20000

struct buffer {
  uint32_t handle, fb, width, height, pitch;
  uint32_t *at;
  size_t size;
};

static int card, events;
static uint32_t connector, crtc;
static struct buffer buffers[2], cursor;
static int shown;

static int dumb(struct buffer *buffer, uint32_t width, uint32_t height) {
  struct drm_mode_create_dumb create = { .width = width, .height = height, .bpp = 32 };
  if (ioctl(card, DRM_IOCTL_MODE_CREATE_DUMB, &create) < 0) return -1;
  struct drm_mode_map_dumb map = { .handle = create.handle };
  if (ioctl(card, DRM_IOCTL_MODE_MAP_DUMB, &map) < 0) return -1;
  void *at = mmap(NULL, create.size, PROT_READ | PROT_WRITE, MAP_SHARED, card, (off_t)map.offset);
  if (at == MAP_FAILED) return -1;
  *buffer = (struct buffer){ .handle = create.handle, .width = width, .height = height, .pitch = create.pitch,
                             .at = at, .size = create.size };
  return 0;
}

static int framebuffer(struct buffer *buffer) {
  struct drm_mode_fb_cmd2 add = { .width = buffer->width, .height = buffer->height, .pixel_format = DRM_FORMAT_XRGB8888 };
  add.handles[0] = buffer->handle;
  add.pitches[0] = buffer->pitch;
  if (ioctl(card, DRM_IOCTL_MODE_ADDFB2, &add) < 0) return -1;
  buffer->fb = add.fb_id;
  return 0;
}

static void release(struct buffer *buffer) {
  if (buffer->at == NULL) return;
  if (buffer->fb != 0) ioctl(card, DRM_IOCTL_MODE_RMFB, &buffer->fb);
  munmap(buffer->at, buffer->size);
  struct drm_mode_destroy_dumb destroy = { .handle = buffer->handle };
  ioctl(card, DRM_IOCTL_MODE_DESTROY_DUMB, &destroy);
  *buffer = (struct buffer){ 0 };
}

static void paint(struct buffer *buffer, uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t seed) {
  uint32_t mixed = pattern_seed(seed, 1);
  for (uint32_t row = y; row < y + height; row++) {
    uint32_t *to = buffer->at + (size_t)row * (buffer->pitch / 4);
    for (uint32_t column = x; column < x + width; column++) to[column] = pattern_word(mixed, row * 65536 + column);
  }
}

/* The first connector's modes; the caller frees nothing, 64 are enough here. */
static int connector_info(struct drm_mode_get_connector *info, struct drm_mode_modeinfo *modes, uint32_t room) {
  memset(info, 0, sizeof *info);
  info->connector_id = connector;
  /* Asking with no room makes the kernel look at the display again. */
  if (ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, info) < 0) return -1;
  uint32_t found = info->count_modes < room ? info->count_modes : room;
  memset(info, 0, sizeof *info);
  info->connector_id = connector;
  info->count_modes = found;
  info->modes_ptr = (uintptr_t)modes;
  return ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, info);
}

static void print_edid(void) {
  uint32_t ids[64];
  uint64_t values[64];
  struct drm_mode_obj_get_properties get = { .obj_id = connector, .obj_type = DRM_MODE_OBJECT_CONNECTOR, .count_props = 64,
                                             .props_ptr = (uintptr_t)ids, .prop_values_ptr = (uintptr_t)values };
  if (ioctl(card, DRM_IOCTL_MODE_OBJ_GETPROPERTIES, &get) < 0) return;
  for (uint32_t i = 0; i < get.count_props; i++) {
    struct drm_mode_get_property property = { .prop_id = ids[i] };
    if (ioctl(card, DRM_IOCTL_MODE_GETPROPERTY, &property) < 0 || strcmp(property.name, "EDID") != 0) continue;
    unsigned char edid[1024];
    struct drm_mode_get_blob blob = { .blob_id = (uint32_t)values[i] };
    /* The bytes come only to a buffer of just their length. */
    if (values[i] == 0 || ioctl(card, DRM_IOCTL_MODE_GETPROPBLOB, &blob) < 0 || blob.length > sizeof edid) return;
    blob.data = (uintptr_t)edid;
    if (ioctl(card, DRM_IOCTL_MODE_GETPROPBLOB, &blob) < 0) return;
    char text[2 * sizeof edid + 1] = "";
    for (uint32_t n = 0; n < blob.length; n++) sprintf(text + 2 * n, "%02x", edid[n]);
    say("edid %s", text);
  }
}

static int info(void) {
  struct drm_mode_get_connector found;
  struct drm_mode_modeinfo modes[64];
  if (connector_info(&found, modes, 64) < 0) return failed("GETCONNECTOR");
  say("connector %u %s %u x %u mm", connector, found.connection == 1 ? "connected" : "disconnected", found.mm_width,
      found.mm_height);
  for (uint32_t i = 0; i < found.count_modes; i++) {
    say("mode %ux%u %u%s", modes[i].hdisplay, modes[i].vdisplay, modes[i].vrefresh,
        modes[i].type & DRM_MODE_TYPE_PREFERRED ? " preferred" : "");
  }
  print_edid();
  return done();
}

static int set(uint32_t width, uint32_t height, uint32_t seed) {
  struct drm_mode_get_connector found;
  struct drm_mode_modeinfo modes[64], *mode = NULL;
  if (connector_info(&found, modes, 64) < 0) return failed("GETCONNECTOR");
  for (uint32_t i = found.count_modes; i-- > 0;) {
    if (modes[i].hdisplay == width && modes[i].vdisplay == height) mode = &modes[i];
  }
  if (mode == NULL) { errno = ENOENT; return failed("no such mode"); }
  struct buffer old[2] = { buffers[0], buffers[1] };
  for (int i = 0; i < 2; i++) {
    if (dumb(&buffers[i], width, height) < 0 || framebuffer(&buffers[i]) < 0) return failed("dumb buffer");
  }
  shown = 0;
  paint(&buffers[0], 0, 0, width, height, seed);
  struct drm_mode_crtc mode_set = { .set_connectors_ptr = (uintptr_t)&connector, .count_connectors = 1, .crtc_id = crtc,
                                    .fb_id = buffers[0].fb, .mode_valid = 1, .mode = *mode };
  if (ioctl(card, DRM_IOCTL_MODE_SETCRTC, &mode_set) < 0) return failed("SETCRTC");
  for (int i = 0; i < 2; i++) release(&old[i]);
  return done();
}

static int flip(uint32_t seed) {
  struct buffer *next = &buffers[1 - shown];
  if (next->at == NULL) { errno = EINVAL; return failed("flip before set"); }
  paint(next, 0, 0, next->width, next->height, seed);
  struct drm_mode_crtc_page_flip args = { .crtc_id = crtc, .fb_id = next->fb, .flags = DRM_MODE_PAGE_FLIP_EVENT };
  if (ioctl(card, DRM_IOCTL_MODE_PAGE_FLIP, &args) < 0) return failed("PAGE_FLIP");
  struct drm_event_vblank event;
  if (read(card, &event, sizeof event) != sizeof event) return failed("flip event");
  shown = 1 - shown;
  return done();
}

static int rect(uint32_t x, uint32_t y, uint32_t width, uint32_t height, uint32_t seed) {
  paint(&buffers[shown], x, y, width, height, seed);
  struct drm_clip_rect clip = { .x1 = (uint16_t)x, .y1 = (uint16_t)y, .x2 = (uint16_t)(x + width),
                                .y2 = (uint16_t)(y + height) };
  struct drm_mode_fb_dirty_cmd dirty = { .fb_id = buffers[shown].fb, .num_clips = 1, .clips_ptr = (uintptr_t)&clip };
  return ioctl(card, DRM_IOCTL_MODE_DIRTYFB, &dirty) < 0 ? failed("DIRTYFB") : done();
}

static int set_cursor(int hot_x, int hot_y, uint32_t seed) {
  struct buffer old = cursor;
  if (dumb(&cursor, CURSOR, CURSOR) < 0) return failed("dumb buffer");
  /* Opaque, so that premultiplied alpha leaves the colours as they are. */
  for (uint32_t i = 0; i < CURSOR * CURSOR; i++) cursor.at[i] = 0xff000000u | pattern_word(pattern_seed(seed, 2), i);
  struct drm_mode_cursor2 args = { .flags = DRM_MODE_CURSOR_BO, .crtc_id = crtc, .width = CURSOR, .height = CURSOR,
                                   .handle = cursor.handle, .hot_x = hot_x, .hot_y = hot_y };
  if (ioctl(card, DRM_IOCTL_MODE_CURSOR2, &args) < 0) return failed("CURSOR2");
  release(&old);
  return done();
}

static int move_cursor(int x, int y) {
  struct drm_mode_cursor args = { .flags = DRM_MODE_CURSOR_MOVE, .crtc_id = crtc, .x = x, .y = y };
  return ioctl(card, DRM_IOCTL_MODE_CURSOR, &args) < 0 ? failed("CURSOR") : done();
}

static int hide_cursor(void) {
  struct drm_mode_cursor args = { .flags = DRM_MODE_CURSOR_BO, .crtc_id = crtc };
  return ioctl(card, DRM_IOCTL_MODE_CURSOR, &args) < 0 ? failed("CURSOR") : done();
}

/* A uevent is a header line and NUL-separated NAME=VALUE; the kernel sends HOTPLUG=1 from the card's device. */
static int hotplug(void) {
  struct pollfd waiting = { .fd = events, .events = POLLIN };
  while (poll(&waiting, 1, HOTPLUG_MS) > 0) {
    char text[4096];
    ssize_t got = recv(events, text, sizeof text - 1, 0);
    if (got < 0) return failed("uevent");
    text[got] = '\0';
    for (char *at = text; at < text + got; at += strlen(at) + 1) {
      if (strcmp(at, "HOTPLUG=1") == 0) return info();
    }
  }
  errno = ETIMEDOUT;
  return failed("hotplug");
}

static int command(char *line) {
  char *rest = line + strcspn(line, " ");
  if (*rest != '\0') *rest++ = '\0';
  uint32_t n[5] = { 0 };
  for (int i = 0; i < 5; i++) n[i] = (uint32_t)strtol(rest, &rest, 0);
  if (strcmp(line, "info") == 0) return info();
  if (strcmp(line, "set") == 0) return set(n[0], n[1], n[2]);
  if (strcmp(line, "flip") == 0) return flip(n[0]);
  if (strcmp(line, "rect") == 0) return rect(n[0], n[1], n[2], n[3], n[4]);
  if (strcmp(line, "cursor") == 0) return set_cursor((int)n[0], (int)n[1], n[2]);
  if (strcmp(line, "move") == 0) return move_cursor((int)n[0], (int)n[1]);
  if (strcmp(line, "hide") == 0) return hide_cursor();
  if (strcmp(line, "hotplug") == 0) return hotplug();
  errno = EINVAL;
  return failed(line);
}

int main(int argc, char **argv) {
  if (argc < 2) usage("kms NAME [CARD]");
  card = open_or_die(argc > 2 ? argv[2] : "/dev/dri/card0", O_RDWR | O_CLOEXEC, 0);
  if (ioctl(card, DRM_IOCTL_SET_MASTER, 0) < 0) die("SET_MASTER");
  uint32_t connectors[16], crtcs[16];
  struct drm_mode_card_res resources = { .count_connectors = 16, .connector_id_ptr = (uintptr_t)connectors,
                                         .count_crtcs = 16, .crtc_id_ptr = (uintptr_t)crtcs };
  if (ioctl(card, DRM_IOCTL_MODE_GETRESOURCES, &resources) < 0) die("GETRESOURCES");
  if (resources.count_connectors == 0 || resources.count_crtcs == 0) { errno = ENODEV; die("connector"); }
  connector = connectors[0];
  crtc = crtcs[0];
  events = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
  struct sockaddr_nl kernel = { .nl_family = AF_NETLINK, .nl_groups = 1 };
  if (events < 0 || bind(events, (struct sockaddr *)&kernel, sizeof kernel) < 0) die("uevents");
  serve(argv[1], command);
}
