/* The first process of a pod: it holds the pod's namespaces, waits for the end, and reaps what is left to it. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

int main(void) {
  sigset_t awaited;
  int number;

  sigemptyset(&awaited);
  sigaddset(&awaited, SIGINT);
  sigaddset(&awaited, SIGTERM);
  sigaddset(&awaited, SIGCHLD);
  sigprocmask(SIG_BLOCK, &awaited, 0);
  while (sigwait(&awaited, &number) == 0) {
    if (number != SIGCHLD) return 0;
    while (waitpid(-1, 0, WNOHANG) > 0) {}
  }
  return 1;
}
