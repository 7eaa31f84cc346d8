/*
 * What a C compiler makes of the structures of vhost-user: those of the kernel from linux/vhost.h, the others written
 * from the tables of the specification. layout-c.ts compiles and runs this; the output is layout-c.json.
 */
#include <linux/vhost.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct VhostUserHeader { uint32_t request, flags, size; };
struct VhostUserU64 { uint64_t value; };
struct VhostUserMemoryRegion { uint64_t guest_phys_addr, memory_size, userspace_addr, mmap_offset; };
struct VhostUserMemoryRegionXen {
  uint64_t guest_phys_addr, memory_size, userspace_addr, mmap_offset;
  uint32_t xen_mmap_flags, domid;
};
struct VhostUserMemory { uint32_t nregions, padding; struct VhostUserMemoryRegion regions[]; };
struct VhostUserMemRegMsg { uint64_t padding; struct VhostUserMemoryRegion region; };
struct VhostUserLog { uint64_t mmap_size, mmap_offset; };
struct VhostUserConfig { uint32_t offset, size, flags; uint8_t region[]; };
struct VhostUserVringArea { uint64_t u64, size, offset; };
struct VhostUserInflight { uint64_t mmap_size, mmap_offset; uint16_t num_queues, queue_size; };
struct VhostUserShared { unsigned char uuid[16]; };
struct VhostUserTransferDeviceState { uint32_t direction, phase; };
struct VhostUserMMap { uint8_t shmid; uint8_t padding[7]; uint64_t fd_offset, shm_offset, len, flags; };
struct VhostUserShMemConfig { uint32_t nregions, padding; uint64_t memory_sizes[256]; };

static const char *separator = "";
#define S(type) (printf("%s\n \"%s\": { \"size\": %zu, \"fields\": {", separator, #type, sizeof(struct type)), separator = "")
#define F(type, member, ours) \
  (printf("%s \"%s\": [%zu, %zu]", separator, ours, offsetof(struct type, member), sizeof(((struct type *)0)->member)), separator = ",")
#define E() (printf(" } }"), separator = ",")

int main(void) {
  printf("{");
  S(VhostUserHeader);
  F(VhostUserHeader, request, "request"); F(VhostUserHeader, flags, "flags"); F(VhostUserHeader, size, "size");
  E(); S(VhostUserU64);
  F(VhostUserU64, value, "value");
  E(); S(vhost_vring_state);
  F(vhost_vring_state, index, "index"); F(vhost_vring_state, num, "num");
  E(); S(vhost_vring_addr);
  F(vhost_vring_addr, index, "index"); F(vhost_vring_addr, flags, "flags"); F(vhost_vring_addr, desc_user_addr, "desc");
  F(vhost_vring_addr, used_user_addr, "used"); F(vhost_vring_addr, avail_user_addr, "avail");
  F(vhost_vring_addr, log_guest_addr, "log");
  E(); S(VhostUserMemoryRegion);
  F(VhostUserMemoryRegion, guest_phys_addr, "guestPhysAddr"); F(VhostUserMemoryRegion, memory_size, "memorySize");
  F(VhostUserMemoryRegion, userspace_addr, "userspaceAddr"); F(VhostUserMemoryRegion, mmap_offset, "mmapOffset");
  E(); S(VhostUserMemoryRegionXen);
  F(VhostUserMemoryRegionXen, guest_phys_addr, "guestPhysAddr"); F(VhostUserMemoryRegionXen, memory_size, "memorySize");
  F(VhostUserMemoryRegionXen, userspace_addr, "userspaceAddr"); F(VhostUserMemoryRegionXen, mmap_offset, "mmapOffset");
  F(VhostUserMemoryRegionXen, xen_mmap_flags, "xenMmapFlags"); F(VhostUserMemoryRegionXen, domid, "domid");
  E(); S(VhostUserMemory);
  F(VhostUserMemory, nregions, "nregions"); F(VhostUserMemory, padding, "padding");
  E(); S(VhostUserMemRegMsg);
  F(VhostUserMemRegMsg, padding, "padding"); F(VhostUserMemRegMsg, region, "region");
  E(); S(VhostUserLog);
  F(VhostUserLog, mmap_size, "mmapSize"); F(VhostUserLog, mmap_offset, "mmapOffset");
  E(); S(vhost_iotlb_msg);
  F(vhost_iotlb_msg, iova, "iova"); F(vhost_iotlb_msg, size, "size"); F(vhost_iotlb_msg, uaddr, "uaddr");
  F(vhost_iotlb_msg, perm, "perm"); F(vhost_iotlb_msg, type, "type");
  E(); S(VhostUserConfig);
  F(VhostUserConfig, offset, "offset"); F(VhostUserConfig, size, "size"); F(VhostUserConfig, flags, "flags");
  E(); S(VhostUserVringArea);
  F(VhostUserVringArea, u64, "u64"); F(VhostUserVringArea, size, "size"); F(VhostUserVringArea, offset, "offset");
  E(); S(VhostUserInflight);
  F(VhostUserInflight, mmap_size, "mmapSize"); F(VhostUserInflight, mmap_offset, "mmapOffset");
  F(VhostUserInflight, num_queues, "numQueues"); F(VhostUserInflight, queue_size, "queueSize");
  E(); S(VhostUserShared);
  F(VhostUserShared, uuid, "uuid");
  E(); S(VhostUserTransferDeviceState);
  F(VhostUserTransferDeviceState, direction, "direction"); F(VhostUserTransferDeviceState, phase, "phase");
  E(); S(VhostUserMMap);
  F(VhostUserMMap, shmid, "shmid"); F(VhostUserMMap, padding, "padding"); F(VhostUserMMap, fd_offset, "fdOffset");
  F(VhostUserMMap, shm_offset, "shmOffset"); F(VhostUserMMap, len, "len"); F(VhostUserMMap, flags, "flags");
  E(); S(VhostUserShMemConfig);
  F(VhostUserShMemConfig, nregions, "nregions"); F(VhostUserShMemConfig, padding, "padding");
  F(VhostUserShMemConfig, memory_sizes, "memorySizes");
  E();
  printf("\n}\n");
  return 0;
}
