// Misbehaves: never answers. 504 wall_limit after the policy's wall_ms.
export default {
  fetch() {
    return new Promise(() => {});
  },
};
