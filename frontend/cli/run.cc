#include "frontend/cli/run.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "frontend/nodes/image_kind.h"
#include "frontend/nodes/libvirt/libvirt_driver.h"
#include "frontend/service/runtime_folder.h"

namespace ebb::frontend::cli {
namespace {

Result<void> check(const std::string& program) {
  struct stat status {};
  if (::stat(program.c_str(), &status) != 0) {
    const char* reason = std::strerror(errno);
    // Not looked for in PATH: a program's image lies beside it.
    const bool name = program.find('/') == std::string::npos;
    return Error(Errc::not_found, "cannot run '" + program + "': " + reason +
                                      (name ? "; give a program's path, such as build/dev/examples/hello/hello" : ""));
  }
  if (S_ISDIR(status.st_mode)) return Error(Errc::permission_denied, "cannot run '" + program + "': it is a folder");
  if (::access(program.c_str(), X_OK) != 0) {
    return Error(Errc::permission_denied, "cannot run '" + program + "': it is not executable");
  }
  if (nodes::image_kind(program) == nodes::ImageKind::bare_metal) {
    return Error(Errc::invalid_argument,
                 "'" + program + "' is a bare-metal image; run the program that was built with it, with --driver libvirt");
  }
  return {};
}

/// The process, or why the program could not be executed: its errno comes through a pipe that a successful exec closes.
Result<pid_t> start(const std::vector<std::string>& words, const sigset_t& mask) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error(Errc::resource_exhausted, std::string("cannot make a pipe: ") + std::strerror(errno));
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
    ::execv(pointers[0], pointers.data());
    const int problem = errno;
    static_cast<void>(!::write(ends[1], &problem, sizeof problem));
    ::_exit(1);
  }
  const int failed = errno;
  ::close(ends[1]);
  int problem = 0;
  const bool executed = child > 0 && ::read(ends[0], &problem, sizeof problem) == 0;
  ::close(ends[0]);
  if (child < 0) return Error(Errc::resource_exhausted, std::string("cannot fork: ") + std::strerror(failed));
  if (executed) return child;
  ::waitpid(child, nullptr, 0);
  // A relative path such as "hello" names a file here, as for every other command that takes a file.
  return Error(Errc::permission_denied, "cannot run '" + words[0] + "': " + std::strerror(problem));
}

/// Waits for the end of `child`, passing on what is sent to this process.
int follow(pid_t child, const sigset_t& watched) {
  for (;;) {
    int status = 0;
    if (::waitpid(child, &status, WNOHANG) == child) return status;
    siginfo_t info;
    const int signal = ::sigwaitinfo(&watched, &info);
    // A terminal's Ctrl-C has reached the program too; twice would mean "at once" to it.
    if (signal > 0 && signal != SIGCHLD && info.si_code != SI_KERNEL) ::kill(child, signal);
  }
}

/// What a front end that could not end in order leaves.
void clean_up(const RunSettings& settings) {
  static_cast<void>(service::running_front_ends());
  if (settings.driver != "libvirt") return;
  nodes::LibvirtSettings libvirt;
  libvirt.uri = settings.uri;
  if (auto cleaned = nodes::clean_libvirt_host(libvirt); !cleaned) {
    std::fprintf(stderr, "ebb: %s\n", cleaned.error().text().c_str());
  }
}

}  // namespace

Result<int> run_program(const RunSettings& settings) {
  if (auto checked = check(settings.program); !checked) return std::move(checked).error();
  sigset_t watched, before;
  sigemptyset(&watched);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&watched, signal);
  ::sigprocmask(SIG_BLOCK, &watched, &before);
  std::vector<std::string> words{settings.program};
  words.insert(words.end(), settings.options.begin(), settings.options.end());
  words.insert(words.end(), settings.arguments.begin(), settings.arguments.end());
  auto child = start(words, before);
  if (!child) return std::move(child).error();
  const int status = follow(*child, watched);
  if (WIFEXITED(status)) {
    // A second signal ends a program at once, with such a status.
    if (WEXITSTATUS(status) > 128) clean_up(settings);
    return WEXITSTATUS(status);
  }
  std::fprintf(stderr, "ebb: '%s' was ended by signal %d\n", settings.program.c_str(), WTERMSIG(status));
  clean_up(settings);
  return 128 + WTERMSIG(status);
}

}  // namespace ebb::frontend::cli
