"""The world `street`: a road between houses, trees and cars."""
