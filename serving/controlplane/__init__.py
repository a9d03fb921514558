"""What an operator moves: releases and routes."""
