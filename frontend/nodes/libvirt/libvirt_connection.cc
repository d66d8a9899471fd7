// Opens libvirt connections with a bound on the wait, and turns libvirt's errors into ours.
#include "frontend/nodes/libvirt/libvirt_connection.h"

#include <libvirt/virterror.h>
#include <signal.h>

#include <chrono>
#include <future>
#include <mutex>
#include <thread>

namespace ebb::frontend::nodes {
namespace {

constexpr auto kConnectLimit = std::chrono::seconds(15);
constexpr int kKeepAliveSeconds = 5;
constexpr unsigned kKeepAliveCount = 5;

void start_event_loop() {
  static std::once_flag once;
  std::call_once(once, [] {
    // libvirt also prints every error by itself unless told not to.
    virSetErrorFunc(nullptr, [](void*, virErrorPtr) {});
    virEventRegisterDefaultImpl();
    // A client that does not run this loop answers no keep-alive and loses its nodes.
    std::thread([] {
      sigset_t all;
      sigfillset(&all);
      ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
      for (;;) virEventRunDefaultImpl();
    }).detach();
  });
}

Result<ConnectionPtr> open(const std::string& uri) {
  ConnectionPtr connection(virConnectOpen(uri.c_str()));
  if (connection == nullptr) {
    const Error error = libvirt_error("cannot reach libvirt at " + uri);
    const bool rights = error.code() == Errc::permission_denied;
    return Error(rights ? Errc::permission_denied : Errc::unavailable,
                 error.text() + (rights ? "; join the group libvirt (adduser USER libvirt) and log in again"
                                        : "; run deploy/prepare-host"));
  }
  virConnectSetKeepAlive(connection.get(), kKeepAliveSeconds, kKeepAliveCount);
  return connection;
}

}  // namespace

Error libvirt_error(const std::string& what) {
  const virErrorPtr last = virGetLastError();
  const std::string text = last != nullptr && last->message != nullptr ? last->message : "unknown error";
  Errc code = Errc::unavailable;
  if (last != nullptr) {
    if (last->code == VIR_ERR_AUTH_FAILED || last->code == VIR_ERR_AUTH_CANCELLED ||
        last->code == VIR_ERR_AUTH_UNAVAILABLE || last->code == VIR_ERR_ACCESS_DENIED ||
        text.find("Permission denied") != std::string::npos) {
      code = Errc::permission_denied;
    } else if (last->code == VIR_ERR_NO_DOMAIN || last->code == VIR_ERR_NO_NETWORK) {
      code = Errc::not_found;
    } else if (last->code == VIR_ERR_NO_MEMORY) {
      code = Errc::resource_exhausted;
    }
  }
  return Error(code, what + ": " + text);
}

Result<ConnectionPtr> connect_to_libvirt(const std::string& uri) {
  start_event_loop();
  // virConnectOpen cannot be told how long to wait; a thread that never returns is left behind with its promise.
  auto promise = std::make_shared<std::promise<Result<ConnectionPtr>>>();
  auto answer = promise->get_future();
  std::thread([promise, uri] { promise->set_value(open(uri)); }).detach();
  if (answer.wait_for(kConnectLimit) != std::future_status::ready) {
    return Error(Errc::unavailable, "libvirt at " + uri + " does not answer within 15 s; restart libvirtd " +
                                        "(deploy/prepare-host --undo, then deploy/prepare-host)");
  }
  return answer.get();
}

}  // namespace ebb::frontend::nodes
