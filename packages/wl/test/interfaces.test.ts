import { expect } from 'chai';
import { interfaceNames, interfaceOf } from '../src/index.ts';

const all = interfaceNames().map((name) => interfaceOf(name)!);
const messages = all.flatMap(({ name, requests, events }) =>
  [...requests, ...events].map((message) => ({ ...message, name: `${name}.${message.name}` })),
);

describe('the interfaces', () => {
  it('are each there once, with well-formed messages', () => {
    expect(new Set(interfaceNames()).size).to.equal(interfaceNames().length);
    for (const { name, args } of messages) {
      expect(name).to.match(/^[a-z]\w+\.[a-z]\w*$/);
      for (const { kind } of args) expect('iufsahon').to.include(kind);
    }
  });

  it('know every interface that one of their messages makes or names', () => {
    const named = messages.flatMap(({ args }) => args.flatMap(({ interfaceName }) => interfaceName ?? []));
    expect(named.filter((name) => interfaceOf(name) === undefined)).to.deep.equal([]);
  });

  it('leave open only the interface of what wl_registry.bind makes', () => {
    const open = messages.filter(({ args }) => args.some(({ kind, interfaceName }) => kind === 'n' && !interfaceName));
    expect(open.map(({ name }) => name)).to.deep.equal(['wl_registry.bind']);
    expect(interfaceOf('wl_registry')!.requests[0]!.args.map(({ kind }) => kind)).to.deep.equal(['u', 's', 'u', 'n']);
  });

  it('say which messages carry descriptors', () => {
    expect(messages.filter(({ fdCount }) => fdCount > 0).map(({ name }) => name)).to.have.members([
      'wl_shm.create_pool',
      'wl_data_offer.receive',
      'wl_data_source.send',
      'wl_keyboard.keymap',
      'wp_image_description_creator_icc_v1.set_icc_file',
      'wp_image_description_info_v1.icc_file',
      'zwp_virtual_keyboard_v1.keymap',
      'zwp_input_method_keyboard_grab_v2.keymap',
      'zwp_primary_selection_offer_v1.receive',
      'zwp_primary_selection_source_v1.send',
      'zwlr_data_control_offer_v1.receive',
      'zwlr_data_control_source_v1.send',
      'ext_data_control_offer_v1.receive',
      'ext_data_control_source_v1.send',
      'zwlr_gamma_control_v1.set_gamma',
    ]);
    expect(messages.filter(({ fdCount }) => fdCount > 1)).to.deep.equal([]);
  });

  it('are undefined where nothing is known', () => {
    for (const name of ['zwp_linux_dmabuf_v1', 'wl_drm', '', 'constructor', 'toString']) {
      expect(interfaceOf(name), name).to.equal(undefined);
    }
  });

  it('have the opcodes of the protocol', () => {
    const names = interfaceOf('wl_surface')!.requests.map(({ name }) => name);
    expect(names.slice(0, 7)).to.deep.equal([
      'destroy',
      'attach',
      'damage',
      'frame',
      'set_opaque_region',
      'set_input_region',
      'commit',
    ]);
    expect(interfaceOf('wl_display')!.events.map(({ name }) => name)).to.deep.equal(['error', 'delete_id']);
  });
});
