import { Box, Center, Loader, Text } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { getPicture, sliceUrl, type SliceRequest } from "../services/dataserver";
import { ProblemAlert } from "../shared/ProblemAlert";

interface Props {
  slice: SliceRequest;
  /** Accessible name of the picture. */
  label: string;
  /** Draws a line across the picture, at this fraction of its height. */
  mark?: number;
  /** Told which values are drawn black and white. */
  onWindow?: (window: [low: number, high: number] | null) => void;
  /** Stretches small pictures that are not square, such as sinograms of few angles. */
  stretch?: boolean;
}

/** A two-dimensional slice as the data server draws it; the former one stays until the next is there. */
export function SlicePicture({ slice, label, mark, onWindow, stretch = false }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const url = sliceUrl(slice);
  const picture = useQuery({
    queryKey: ["picture", url],
    queryFn: ({ signal }) => getPicture(url, signal),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
    gcTime: 60_000,
  });
  const bitmap = picture.data?.bitmap;
  const window = picture.data?.window ?? null;
  useEffect(() => onWindow?.(window), [onWindow, window]);
  useEffect(() => {
    const element = canvas.current;
    if (!element || !bitmap) return;
    element.width = bitmap.width;
    element.height = bitmap.height;
    element.getContext("2d")?.drawImage(bitmap, 0, 0);
  }, [bitmap]);

  if (picture.isError) {
    return (
      <Box className="fill">
        <ProblemAlert error={picture.error} onRetry={() => void picture.refetch()} />
      </Box>
    );
  }
  return (
    <div className="picture" aria-busy={picture.isFetching}>
      <canvas
        ref={canvas}
        role="img"
        aria-label={label}
        data-slice={picture.isPlaceholderData || !bitmap ? undefined : url}
        style={stretch ? { objectFit: "fill" } : undefined}
      />
      {mark !== undefined && bitmap && (
        <svg
          viewBox={`0 0 ${bitmap.width} ${bitmap.height}`}
          preserveAspectRatio={stretch ? "none" : "xMidYMid meet"}
          aria-hidden
        >
          <line
            x1={0}
            x2={bitmap.width}
            y1={mark * bitmap.height}
            y2={mark * bitmap.height}
            stroke="var(--mantine-color-orange-5)"
            strokeWidth={1.5}
            vectorEffect="non-scaling-stroke"
          />
        </svg>
      )}
      {picture.isPending && (
        <Center pos="absolute" inset={0}>
          <Loader color="gray" aria-label={`Loading ${label}`} />
        </Center>
      )}
    </div>
  );
}

/** What the picture shows, below it. */
export function Caption({ children }: { children: React.ReactNode }) {
  return (
    <Text size="sm" c="dimmed" ta="center" role="status">
      {children}
    </Text>
  );
}
