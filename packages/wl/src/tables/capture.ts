/** Pictures of outputs and windows, written into buffers of the client. */
import type { ProtocolTable } from '../protocol-table.ts';

export const capture: ProtocolTable = {
  zwlr_screencopy_manager_v1: {
    version: 3,
    requests: [
      'capture_output n:zwlr_screencopy_frame_v1 i o:wl_output',
      'capture_output_region n:zwlr_screencopy_frame_v1 i o:wl_output i i i i',
      'destroy',
    ],
    events: [],
  },
  zwlr_screencopy_frame_v1: {
    version: 3,
    requests: ['copy o:wl_buffer', 'destroy', 'copy_with_damage o:wl_buffer'],
    events: [
      'buffer u u u u',
      'flags u',
      'ready u u u',
      'failed',
      'damage u u u u',
      'linux_dmabuf u u u',
      'buffer_done',
    ],
  },
  ext_image_capture_source_v1: { version: 1, requests: ['destroy'], events: [] },
  ext_output_image_capture_source_manager_v1: {
    version: 1,
    requests: ['create_source n:ext_image_capture_source_v1 o:wl_output', 'destroy'],
    events: [],
  },
  ext_foreign_toplevel_image_capture_source_manager_v1: {
    version: 1,
    requests: ['create_source n:ext_image_capture_source_v1 o:ext_foreign_toplevel_handle_v1', 'destroy'],
    events: [],
  },
  ext_image_copy_capture_manager_v1: {
    version: 1,
    requests: [
      'create_session n:ext_image_copy_capture_session_v1 o:ext_image_capture_source_v1 u',
      'create_pointer_cursor_session n:ext_image_copy_capture_cursor_session_v1 o:ext_image_capture_source_v1 o:wl_pointer',
      'destroy',
    ],
    events: [],
  },
  ext_image_copy_capture_session_v1: {
    version: 1,
    requests: ['create_frame n:ext_image_copy_capture_frame_v1', 'destroy'],
    events: ['buffer_size u u', 'shm_format u', 'dmabuf_device a', 'dmabuf_format u a', 'done', 'stopped'],
  },
  ext_image_copy_capture_frame_v1: {
    version: 1,
    requests: ['destroy', 'attach_buffer o:wl_buffer', 'damage_buffer i i i i', 'capture'],
    events: ['transform u', 'damage i i i i', 'presentation_time u u u', 'ready', 'failed u'],
  },
  ext_image_copy_capture_cursor_session_v1: {
    version: 1,
    requests: ['destroy', 'get_capture_session n:ext_image_copy_capture_session_v1'],
    events: ['enter', 'leave', 'position i i', 'hotspot i i'],
  },
  weston_capture_v1: {
    version: 1,
    requests: ['destroy', 'create o:wl_output u n:weston_capture_source_v1'],
    events: [],
  },
  weston_capture_source_v1: {
    version: 1,
    requests: ['destroy', 'capture o:wl_buffer'],
    events: ['format u', 'size i i', 'complete', 'retry', 'failed s'],
  },
};
