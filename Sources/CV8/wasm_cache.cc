// V8 keeps one compiled module a process for all isolates that compile the same bytes of WebAssembly. Tenants would share it: its memory counts for who
// came first, who compiles can tell from the time whether another has the same module, and two threads would use it at once. Here each isolate has its own.
// These members of V8 10's cache are exported from the executable, and so found before libnode's. Later versions have others.
#include <v8-version.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#if V8_MAJOR_VERSION == 10
namespace v8::base {
template <typename T>
class Vector {
  T *start_;
  size_t length_;
};
}  // namespace v8::base

namespace v8::internal::wasm {

class NativeModule;
enum ModuleOrigin : uint8_t;

class NativeModuleCache {
 public:
  std::shared_ptr<NativeModule> MaybeGetNativeModule(ModuleOrigin origin, v8::base::Vector<const uint8_t> wire_bytes);
  std::shared_ptr<NativeModule> Update(std::shared_ptr<NativeModule> module, bool error);
};

/// There is none: it is to be compiled.
__attribute__((visibility("default"), used)) std::shared_ptr<NativeModule> NativeModuleCache::MaybeGetNativeModule(ModuleOrigin,
                                                                                                                v8::base::Vector<const uint8_t>) {
  return nullptr;
}

/// What was compiled is used as it is.
__attribute__((visibility("default"), used)) std::shared_ptr<NativeModule> NativeModuleCache::Update(std::shared_ptr<NativeModule> module, bool) {
  return module;
}

}  // namespace v8::internal::wasm
#endif
