// V8's platform without threads: every task runs at the end of a turn of the isolate it is for, on that turn's fiber and account.
#include <time.h>

#include "internal.h"

namespace cv8 {

class TaskQueue : public v8::TaskRunner {
 public:
  // Delayed tasks only shrink heaps later (the memory reducer, code flushing): the cell decides itself when to trim.
#if V8_MAJOR_VERSION >= 13
  void PostTaskImpl(std::unique_ptr<v8::Task> task, const v8::SourceLocation &) override { Add(std::move(task)); }
  void PostNonNestableTaskImpl(std::unique_ptr<v8::Task> task, const v8::SourceLocation &) override { Add(std::move(task)); }
  void PostDelayedTaskImpl(std::unique_ptr<v8::Task>, double, const v8::SourceLocation &) override {}
  void PostNonNestableDelayedTaskImpl(std::unique_ptr<v8::Task>, double, const v8::SourceLocation &) override {}
  void PostIdleTaskImpl(std::unique_ptr<v8::IdleTask>, const v8::SourceLocation &) override {}
#else
  void PostTask(std::unique_ptr<v8::Task> task) override { Add(std::move(task)); }
  void PostNonNestableTask(std::unique_ptr<v8::Task> task) override { Add(std::move(task)); }
  void PostDelayedTask(std::unique_ptr<v8::Task>, double) override {}
  void PostNonNestableDelayedTask(std::unique_ptr<v8::Task>, double) override {}
  void PostIdleTask(std::unique_ptr<v8::IdleTask>) override {}
#endif
  bool IdleTasksEnabled() override { return false; }
  bool NonNestableTasksEnabled() const override { return true; }
  bool NonNestableDelayedTasksEnabled() const override { return true; }

  void Add(std::unique_ptr<v8::Task> task) {
    std::lock_guard<std::mutex> guard(mutex_);
    tasks_.push_back(std::move(task));
  }

  std::unique_ptr<v8::Task> Take() {
    std::lock_guard<std::mutex> guard(mutex_);
    if (tasks_.empty()) return nullptr;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    return task;
  }

 private:
  std::mutex mutex_;
  std::deque<std::unique_ptr<v8::Task>> tasks_;
};

namespace {

double Now(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// A job runs where it is joined, or else as a task of the isolate that posted it. There are no threads, so nothing runs at once.
class JobState : public std::enable_shared_from_this<JobState> {
 public:
  JobState(std::unique_ptr<v8::JobTask> task, std::shared_ptr<TaskQueue> queue) : task_(std::move(task)), queue_(std::move(queue)) {}

  void Notify();
  void Run();
  void Drop() {
    // Whoever is in it keeps it until it returns, which may be this thread.
    std::shared_ptr<v8::JobTask> dropped;
    std::lock_guard<std::mutex> guard(mutex_);
    dropped.swap(task_);
  }
  bool IsActive() {
    std::shared_ptr<v8::JobTask> task = Task();
    return task && task->GetMaxConcurrency(0) > 0;
  }

 private:
  class Delegate : public v8::JobDelegate {
   public:
    explicit Delegate(JobState *job) : job_(job) {}
    bool ShouldYield() override { return false; }
    void NotifyConcurrencyIncrease() override { job_->Notify(); }
    uint8_t GetTaskId() override { return 0; }
    bool IsJoiningThread() const override { return true; }

   private:
    JobState *job_;
  };

  std::shared_ptr<v8::JobTask> Task() {
    std::lock_guard<std::mutex> guard(mutex_);
    return task_;
  }

  /// Wasm's modules, which drop their jobs, may be those of several isolates (but see wasm_cache.cc). Not held while V8 is called, which may drop the job.
  std::mutex mutex_;
  std::shared_ptr<v8::JobTask> task_;
  std::shared_ptr<TaskQueue> queue_;
  bool is_queued_ = false;

  friend class QueuedJob;
};

class QueuedJob : public v8::Task {
 public:
  explicit QueuedJob(std::shared_ptr<JobState> job) : job_(std::move(job)) {}
  void Run() override {
    {
      std::lock_guard<std::mutex> guard(job_->mutex_);
      job_->is_queued_ = false;
    }
    job_->Run();
  }

 private:
  std::shared_ptr<JobState> job_;
};

void JobState::Notify() {
  std::lock_guard<std::mutex> guard(mutex_);
  if (!queue_ || is_queued_ || !task_) return;
  is_queued_ = true;
  queue_->Add(std::make_unique<QueuedJob>(shared_from_this()));
}

void JobState::Run() {
  Delegate delegate(this);
  for (std::shared_ptr<v8::JobTask> task = Task(); task && task->GetMaxConcurrency(0) > 0; task = Task()) task->Run(&delegate);
}

class Job : public v8::JobHandle {
 public:
  explicit Job(std::shared_ptr<JobState> state) : state_(std::move(state)) {}
  ~Job() override = default;
  void NotifyConcurrencyIncrease() override { state_->Notify(); }
  void Join() override {
    state_->Run();
    Invalidate();
  }
  void Cancel() override { Invalidate(); }
  void CancelAndDetach() override { Invalidate(); }
  bool IsActive() override { return state_ && state_->IsActive(); }
  bool IsValid() override { return state_ != nullptr; }

 private:
  void Invalidate() {
    if (state_) state_->Drop();
    state_.reset();
  }
  std::shared_ptr<JobState> state_;
};

class Platform : public v8::Platform {
 public:
  v8::PageAllocator *GetPageAllocator() override { return ThePageAllocator(); }
  int NumberOfWorkerThreads() override { return 0; }
#if V8_MAJOR_VERSION >= 13
  std::shared_ptr<v8::TaskRunner> GetForegroundTaskRunner(v8::Isolate *isolate, v8::TaskPriority) override { return TasksOf(isolate); }
  void PostTaskOnWorkerThreadImpl(v8::TaskPriority, std::unique_ptr<v8::Task> task, const v8::SourceLocation &) override {
    RunLater(std::move(task));
  }
  void PostDelayedTaskOnWorkerThreadImpl(v8::TaskPriority, std::unique_ptr<v8::Task>, double, const v8::SourceLocation &) override {}
  std::unique_ptr<v8::JobHandle> CreateJobImpl(v8::TaskPriority, std::unique_ptr<v8::JobTask> task, const v8::SourceLocation &) override {
    return std::make_unique<Job>(MakeJob(std::move(task)));
  }
#else
  std::shared_ptr<v8::TaskRunner> GetForegroundTaskRunner(v8::Isolate *isolate) override { return TasksOf(isolate); }
  void CallOnWorkerThread(std::unique_ptr<v8::Task> task) override { RunLater(std::move(task)); }
  void CallDelayedOnWorkerThread(std::unique_ptr<v8::Task>, double) override {}
  std::unique_ptr<v8::JobHandle> PostJob(v8::TaskPriority, std::unique_ptr<v8::JobTask> task) override {
    auto state = MakeJob(std::move(task));
    state->Notify();
    return std::make_unique<Job>(state);
  }
#if V8_MAJOR_VERSION >= 11
  std::unique_ptr<v8::JobHandle> CreateJob(v8::TaskPriority, std::unique_ptr<v8::JobTask> task) override {
    return std::make_unique<Job>(MakeJob(std::move(task)));
  }
#endif
#endif
  double MonotonicallyIncreasingTime() override { return Now(CLOCK_MONOTONIC); }
  double CurrentClockTimeMillis() override {
    // Time stands still for a tenant during a turn.
    if (cv8_isolate *state = Current()) {
      state->saw_time = true;
      if (state->turn) return state->time_ms;
    }
    return Now(CLOCK_REALTIME) * 1000;
  }
  v8::TracingController *GetTracingController() override { return &tracing_; }

 private:
  static void RunLater(std::unique_ptr<v8::Task> task) {
    if (v8::Isolate *isolate = v8::Isolate::TryGetCurrent()) {
      TasksOf(isolate)->Add(std::move(task));
    } else {
      task->Run();
    }
  }
  static std::shared_ptr<JobState> MakeJob(std::unique_ptr<v8::JobTask> task) {
    v8::Isolate *isolate = v8::Isolate::TryGetCurrent();
    return std::make_shared<JobState>(std::move(task), isolate ? TasksOf(isolate) : nullptr);
  }

  v8::TracingController tracing_;
};

std::mutex tasks_mutex;
std::unordered_map<v8::Isolate *, std::shared_ptr<TaskQueue>> *task_queues = new std::unordered_map<v8::Isolate *, std::shared_ptr<TaskQueue>>;
Platform *platform = new Platform;

}  // namespace

v8::Platform *ThePlatform() { return platform; }

std::shared_ptr<TaskQueue> TasksOf(v8::Isolate *isolate) {
  std::lock_guard<std::mutex> guard(tasks_mutex);
  auto &queue = (*task_queues)[isolate];
  if (!queue) queue = std::make_shared<TaskQueue>();
  return queue;
}

void ForgetTasks(v8::Isolate *isolate, const std::shared_ptr<TaskQueue> &queue) {
  {
    std::lock_guard<std::mutex> guard(tasks_mutex);
    auto found = task_queues->find(isolate);
    // A new isolate may have come to lie at the same address.
    if (found != task_queues->end() && (!queue || found->second == queue)) task_queues->erase(found);
  }
  // Jobs in it refer to it.
  while (queue && queue->Take()) {
  }
}

bool RunTasks(TaskQueue &queue) {
  bool ran = false;
  // Bounded: a task that posts the next one does not keep microtasks from running.
  for (int count = 0; count < 100; count++) {
    auto task = queue.Take();
    if (!task) break;
    task->Run();
    ran = true;
  }
  return ran;
}

cv8_isolate *Current() {
  v8::Isolate *isolate = v8::Isolate::TryGetCurrent();
  return isolate ? StateOf(isolate) : nullptr;
}

}  // namespace cv8
