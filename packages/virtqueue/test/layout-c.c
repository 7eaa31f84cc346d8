/*
 * Prints what <linux/virtio_ring.h> says, as JSON. layout-c.json is its output:
 *     gcc -o /tmp/layout-c test/layout-c.c && /tmp/layout-c > test/layout-c.json
 */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <stdio.h>

#define FIELD(type, field, end) \
  printf("      \"%s\": [%zu, %zu]%s\n", #field, offsetof(struct type, field), sizeof(((struct type *)0)->field), end)
#define FIELD_AS(type, field, name, end) \
  printf("      \"%s\": [%zu, %zu]%s\n", name, offsetof(struct type, field), sizeof(((struct type *)0)->field), end)
#define CONSTANT(name, end) printf("    \"%s\": %d%s\n", #name, name, end)

static void ring(unsigned int num, const char *end) {
  struct vring vr;
  char *base = 0;
  vring_init(&vr, num, base, VRING_USED_ALIGN_SIZE);
  printf("    { \"size\": %u, \"desc\": %td, \"avail\": %td, \"used\": %td, \"usedEvent\": %td, \"availEvent\": %td, \"total\": %u }%s\n",
         num, (char *)vr.desc - base, (char *)vr.avail - base, (char *)vr.used - base,
         (char *)&vr.avail->ring[num] - base, (char *)&vr.used->ring[num] - base,
         vring_size(num, VRING_USED_ALIGN_SIZE), end);
}

int main(void) {
  printf("{\n  \"structs\": {\n    \"vring_desc\": {\n      \"size\": %zu,\n", sizeof(struct vring_desc));
  FIELD(vring_desc, addr, ",");
  FIELD(vring_desc, len, ",");
  FIELD(vring_desc, flags, ",");
  FIELD(vring_desc, next, "");
  printf("    },\n    \"vring_avail\": {\n      \"size\": %zu,\n", offsetof(struct vring_avail, ring));
  FIELD(vring_avail, flags, ",");
  FIELD(vring_avail, idx, "");
  printf("    },\n    \"vring_used\": {\n      \"size\": %zu,\n", offsetof(struct vring_used, ring));
  FIELD(vring_used, flags, ",");
  FIELD(vring_used, idx, "");
  printf("    },\n    \"vring_used_elem\": {\n      \"size\": %zu,\n", sizeof(struct vring_used_elem));
  FIELD(vring_used_elem, id, ",");
  FIELD(vring_used_elem, len, "");
  printf("    },\n    \"vring_packed_desc\": {\n      \"size\": %zu,\n", sizeof(struct vring_packed_desc));
  FIELD(vring_packed_desc, addr, ",");
  FIELD(vring_packed_desc, len, ",");
  FIELD(vring_packed_desc, id, ",");
  FIELD(vring_packed_desc, flags, "");
  printf("    },\n    \"vring_packed_desc_event\": {\n      \"size\": %zu,\n", sizeof(struct vring_packed_desc_event));
  FIELD_AS(vring_packed_desc_event, off_wrap, "offWrap", ",");
  FIELD(vring_packed_desc_event, flags, "");
  printf("    }\n  },\n  \"constants\": {\n");
  CONSTANT(VRING_DESC_F_NEXT, ",");
  CONSTANT(VRING_DESC_F_WRITE, ",");
  CONSTANT(VRING_DESC_F_INDIRECT, ",");
  CONSTANT(VRING_PACKED_DESC_F_AVAIL, ",");
  CONSTANT(VRING_PACKED_DESC_F_USED, ",");
  CONSTANT(VRING_PACKED_EVENT_FLAG_ENABLE, ",");
  CONSTANT(VRING_PACKED_EVENT_FLAG_DISABLE, ",");
  CONSTANT(VRING_PACKED_EVENT_FLAG_DESC, ",");
  CONSTANT(VRING_PACKED_EVENT_F_WRAP_CTR, ",");
  CONSTANT(VIRTIO_F_RING_PACKED, ",");
  CONSTANT(VIRTIO_F_IN_ORDER, ",");
  CONSTANT(VIRTIO_F_RING_RESET, ",");
  CONSTANT(VRING_USED_F_NO_NOTIFY, ",");
  CONSTANT(VRING_AVAIL_F_NO_INTERRUPT, ",");
  CONSTANT(VIRTIO_RING_F_INDIRECT_DESC, ",");
  CONSTANT(VIRTIO_RING_F_EVENT_IDX, ",");
  CONSTANT(VRING_AVAIL_ALIGN_SIZE, ",");
  CONSTANT(VRING_USED_ALIGN_SIZE, ",");
  CONSTANT(VRING_DESC_ALIGN_SIZE, "");
  printf("  },\n  \"rings\": [\n");
  ring(1, ",");
  ring(2, ",");
  ring(256, ",");
  ring(32768, "");
  printf("  ]\n}\n");
  return 0;
}
