import type { ReactNode } from "react";
import { ErrorBoundary } from "react-error-boundary";
import { ProblemAlert } from "./ProblemAlert";

/** A part of the page whose failure is told in its place and leaves the rest alone. */
export function Contained({ children }: { children: ReactNode }) {
  return (
    <ErrorBoundary
      fallbackRender={({ error, resetErrorBoundary }) => (
        <ProblemAlert error={error} onRetry={resetErrorBoundary} />
      )}
    >
      {children}
    </ErrorBoundary>
  );
}
