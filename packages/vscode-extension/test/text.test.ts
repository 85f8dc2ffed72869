import { expect, it } from "vitest"
import { beginning, fileName, line } from "../src/reading/Text.ts"

const isWhole = (text: string): boolean => !/\p{Cs}/u.test(text)

it("cuts no character in two", () => {
  const text = "a😀".repeat(50)
  for (let most = 1; most < 20; most++) {
    expect(isWhole(beginning(text, most))).toBe(true)
    expect(isWhole(line(text, most))).toBe(true)
  }
  expect(beginning("ab", 5)).toBe("ab")
  expect(line("😀😀", 3)).toBe("😀…")
  // A letter of two code units at the very end of what a name may have.
  expect(isWhole(fileName(`${"x".repeat(59)}𝒳y`))).toBe(true)
  expect(fileName("a/b:c")).toBe("a_b_c")
})
